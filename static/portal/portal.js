// The portal's own script: states follow the country that is chosen. Everything works without it, too.
"use strict";

(() => {
  const country = document.querySelector("select[data-states]");
  if (!country) return;
  const state = document.getElementById(country.dataset.target);
  country.addEventListener("change", async () => {
    const wanted = country.value;
    const answer = wanted
      ? await fetch(`${country.dataset.states}?country=${encodeURIComponent(wanted)}`, { headers: { Accept: "application/json" } })
      : null;
    const found = answer && answer.ok ? (await answer.json()).states : [];
    if (country.value !== wanted) return; // another one was chosen meanwhile
    state.replaceChildren(state.options[0], ...found.map(({ pk, name }) => new Option(name, pk)));
    state.value = "";
  });
})();
