/* The panel of a thread: writing, files, activities, followers, and showing at once what others write.
 * No eval, no inline handlers: it works under script-src 'self'. */
(function () {
  "use strict";
  if (window.MeridianThreads) return;

  const MAX_AT_ONCE = 20;

  function setUp(root) {
    if (root.chatterReady) return;
    root.chatterReady = true;
    const base = root.dataset.url;
    const carried = new URLSearchParams(root.dataset.carried || "");
    const content = root.querySelector("[data-content]");
    const status = root.querySelector("[data-status]");
    const token = root.querySelector("[name=csrfmiddlewaretoken]").value;
    let pending = []; // files that are uploaded and not sent
    let chosen = []; // people named by @
    let searchTimer = 0;

    const find = (selector, from) => (from || root).querySelector(selector);

    function say(text, isError) {
      status.textContent = text || "";
      status.classList.toggle("chatter-error", Boolean(isError));
    }

    function address(path, extra) {
      const parameters = new URLSearchParams(carried);
      Object.entries(extra || {}).forEach(([name, value]) => parameters.set(name, value));
      const text = parameters.toString();
      return path + (text ? "?" + text : "");
    }

    async function answerOf(response) {
      if (response.ok) return response;
      let text = root.dataset.tFailed;
      try {
        const body = await response.json();
        const fields = Object.values(body.fields || {}).flat().join(" ");
        text = fields || body.message || text;
      } catch (error) { /* no JSON: the general words stand */ }
      throw new Error(text);
    }

    async function send(path, values) {
      const body = values instanceof FormData ? values : new FormData();
      if (!(values instanceof FormData)) {
        Object.entries(values || {}).forEach(([name, value]) => {
          (Array.isArray(value) ? value : [value]).forEach((item) => body.append(name, item));
        });
      }
      carried.forEach((value, name) => body.append(name, value));
      const response = await fetch(path, {
        method: "POST", body, credentials: "same-origin",
        headers: { "X-CSRFToken": token, "X-Requested-With": "XMLHttpRequest" },
      });
      return (await answerOf(response)).json();
    }

    async function fragment(path, extra) {
      const response = await fetch(address(path, extra), { credentials: "same-origin", headers: { "X-Requested-With": "XMLHttpRequest" } });
      const html = await (await answerOf(response)).text();
      return new DOMParser().parseFromString(html, "text/html").body;
    }

    function attempt(work) {
      return work().catch((error) => say(error.message || root.dataset.tFailed, true));
    }

    // ------------------------------------------------------------------------------------------- showing
    function dress(within) {
      within.querySelectorAll("[data-body]").forEach((body) => {
        if (body.dataset.dressed) return;
        body.dataset.dressed = "1";
        const quoted = Array.from(body.querySelectorAll(".quoted, [data-quoted='1'], blockquote[type=cite]"));
        quoted.filter((part) => !quoted.some((other) => other !== part && other.contains(part))).forEach((part) => {
          const box = document.createElement("details");
          const label = document.createElement("summary");
          label.textContent = root.dataset.tQuoted;
          box.append(label);
          part.replaceWith(box);
          box.append(part);
        });
      });
    }

    function newestOf(container) {
      return Math.max(0, ...Array.from(container.querySelectorAll("[data-message]"), (item) => Number(item.dataset.message)));
    }

    /* The newest page replaces what it covers; older pages that were opened stay where they are. */
    function mergeNewest(fresh) {
      const box = find("[data-messages]");
      if (!box) return;
      const searched = find("[data-search]");
      if (searched && searched.value) return;
      const known = newestOf(box);
      const incoming = Array.from(fresh.querySelectorAll("[data-message]"));
      const oldest = Math.min(...incoming.map((item) => Number(item.dataset.message)));
      const editing = box.querySelector("[data-editing]");
      if (editing) return;
      const older = Array.from(box.querySelectorAll("[data-message]")).filter((item) => Number(item.dataset.message) < oldest);
      const more = older.length ? box.querySelector(".chatter-more") : fresh.querySelector(".chatter-more");
      const none = fresh.querySelector("[data-none]");
      incoming.forEach((item) => { if (known && Number(item.dataset.message) > known) item.classList.add("chatter-new"); });
      box.replaceChildren(...(none ? [none] : []), ...incoming, ...older, ...(more ? [more] : []));
      dress(box);
    }

    function mergePart(fresh, name) {
      const incoming = fresh.querySelector(`[data-part="${name}"]`);
      const held = find(`[data-part="${name}"]`);
      if (held && held.contains(document.activeElement)) return;
      if (held && incoming) {
        if (held.open !== undefined) incoming.open = held.open;
        held.replaceWith(incoming);
      } else if (held) held.remove();
      else if (incoming) {
        const before = find(".chatter-search") || find("[data-messages]");
        before.before(incoming);
      }
    }

    async function refresh() {
      const fresh = await fragment(base);
      if (!find("[data-messages]")) {
        content.replaceChildren(...fresh.childNodes);
        dress(content);
        return;
      }
      const box = fresh.querySelector("[data-messages]");
      if (box) mergeNewest(box);
      ["followers", "activities", "files"].forEach((name) => mergePart(fresh, name));
      const toggle = find("[data-follow]");
      const freshToggle = fresh.querySelector("[data-follow]");
      if (toggle && freshToggle) toggle.replaceWith(freshToggle);
      const audience = find('[data-audience="comment"]');
      const freshAudience = fresh.querySelector('[data-audience="comment"]');
      if (audience && freshAudience) audience.textContent = freshAudience.textContent;
    }

    let refreshing = 0;
    function refreshSoon() {
      clearTimeout(refreshing);
      refreshing = setTimeout(() => attempt(refresh), 150);
    }

    // ------------------------------------------------------------------------------------------- writing
    function openComposer(kind) {
      const composer = find("[data-composer]");
      composer.hidden = false;
      composer.dataset.kind = kind;
      root.querySelectorAll("[data-audience]").forEach((line) => { line.hidden = line.dataset.audience !== kind; });
      root.querySelectorAll("[data-open]").forEach((button) => button.setAttribute("aria-expanded", String(button.dataset.open === kind)));
      find("[data-text]").focus();
    }

    function closeComposer() {
      const composer = find("[data-composer]");
      if (!composer || composer.classList.contains("chatter-open")) return;
      composer.hidden = true;
      root.querySelectorAll("[data-open]").forEach((button) => button.setAttribute("aria-expanded", "false"));
    }

    async function post(button) {
      const composer = find("[data-composer]");
      const text = find("[data-text]");
      button.disabled = true;
      say("");
      try {
        await send(base + "post/", {
          kind: composer.dataset.kind, body: text.value,
          attachment: pending.map((file) => `${file.pk}:${file.access_token}`),
          recipient: chosen.filter((person) => text.value.includes("@" + person.name)).map((person) => person.pk),
        });
        text.value = "";
        pending = [];
        chosen = [];
        showPending();
        showChosen();
        closeComposer();
        await refresh();
        say(root.dataset.tSent);
      } finally {
        button.disabled = false;
      }
    }

    function showPending() {
      const list = find("[data-pending]");
      list.replaceChildren(...pending.map((file) => {
        const item = document.createElement("li");
        const name = document.createElement("span");
        name.textContent = file.name;
        const drop = document.createElement("button");
        drop.type = "button";
        drop.className = "chatter-link";
        drop.textContent = "×";
        drop.setAttribute("aria-label", root.dataset.tRemoveFile + " " + file.name);
        drop.addEventListener("click", () => attempt(async () => {
          pending = pending.filter((other) => other.pk !== file.pk);
          showPending();
          await send(`/chatter/files/${file.pk}/remove/`, { file_token: file.access_token });
        }));
        item.append(name, drop);
        return item;
      }));
    }

    async function upload(files) {
      const given = Array.from(files).slice(0, MAX_AT_ONCE);
      if (!given.length) return;
      say(root.dataset.tUploading);
      const body = new FormData();
      given.forEach((file) => body.append("file", file));
      const answer = await send(base + "files/", body);
      pending = pending.concat(answer.files);
      showPending();
      say("");
    }

    // ------------------------------------------------------------------------------------------- naming people
    function showChosen() {
      const list = find("[data-chosen]");
      list.replaceChildren(...chosen.map((person) => {
        const item = document.createElement("li");
        item.textContent = "@" + person.name;
        return item;
      }));
    }

    async function suggest(text) {
      const list = find("[data-people]");
      const found = /(?:^|\s)@([^\s@][^@\n]{1,40})$/.exec(text.value.slice(0, text.selectionStart));
      if (!found || root.dataset.portal) { list.hidden = true; return; }
      const response = await fetch(address(base + "people/", { q: found[1] }), { credentials: "same-origin" });
      if (!response.ok) { list.hidden = true; return; }
      const { people } = await response.json();
      list.replaceChildren(...people.map((person) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = person.name + (person.email ? ` <${person.email}>` : "");
        button.addEventListener("click", () => {
          const end = text.selectionStart;
          const start = text.value.lastIndexOf("@", end - 1);
          text.setRangeText(`@${person.name} `, start, end, "end");
          if (!chosen.some((other) => other.pk === person.pk)) chosen.push(person);
          list.hidden = true;
          showChosen();
          text.focus();
        });
        item.append(button);
        return item;
      }));
      list.hidden = !people.length;
    }

    // ------------------------------------------------------------------------------------------- changing
    function edit(pk) {
      const article = find(`[data-message="${pk}"]`);
      const body = find("[data-body]", article);
      if (!body || article.querySelector("[data-editing]")) return;
      const box = document.createElement("div");
      box.dataset.editing = "1";
      const field = document.createElement("textarea");
      field.value = body.innerText.trim();
      field.rows = 4;
      field.setAttribute("aria-label", root.dataset.tEdit);
      const save = document.createElement("button");
      save.type = "button";
      save.className = "chatter-button chatter-primary";
      save.textContent = root.dataset.tSave;
      const cancel = document.createElement("button");
      cancel.type = "button";
      cancel.className = "chatter-button chatter-quiet";
      cancel.textContent = root.dataset.tCancel;
      const done = () => { box.remove(); body.hidden = false; };
      cancel.addEventListener("click", done);
      save.addEventListener("click", () => attempt(async () => {
        await send(`/chatter/messages/${pk}/edit/`, { body: field.value });
        done();
        await refresh();
      }));
      const bar = document.createElement("div");
      bar.className = "chatter-bar";
      bar.append(save, cancel);
      box.append(field, bar);
      body.hidden = true;
      body.after(box);
      field.focus();
    }

    async function older(button) {
      button.disabled = true;
      const searched = find("[data-search]");
      const extra = { before: button.dataset.older };
      if (searched && searched.value) extra.q = searched.value;
      const page = await fragment(base + "messages/", extra);
      const first = page.querySelector("[data-message]");
      button.closest(".chatter-more").replaceWith(...page.childNodes);
      dress(find("[data-messages]"));
      if (first) { first.tabIndex = -1; first.focus({ preventScroll: true }); }
    }

    async function search(text) {
      const page = await fragment(base + "messages/", text ? { q: text } : {});
      const box = find("[data-messages]");
      box.replaceChildren(...page.childNodes);
      dress(box);
    }

    async function openPlan(button) {
      const box = find("[data-plan-form]");
      if (!box.hidden) { box.hidden = true; button.setAttribute("aria-expanded", "false"); return; }
      box.replaceChildren(...(await fragment(base + "activities/form/")).childNodes);
      box.hidden = false;
      button.setAttribute("aria-expanded", "true");
      const type = find('[data-name="type"]', box);
      type.addEventListener("change", () => {
        const option = type.selectedOptions[0];
        find('[data-name="deadline"]', box).value = option.dataset.deadline;
        const summary = find('[data-name="summary"]', box);
        if (!summary.value) summary.value = option.dataset.summary;
      });
      type.focus();
    }

    async function plan() {
      const box = find("[data-plan-form]");
      const values = {};
      box.querySelectorAll("[data-name]").forEach((field) => { if (field.value) values[field.dataset.name] = field.value; });
      await send(base + "activities/", values);
      box.hidden = true;
      await refresh();
    }

    async function act(button) {
      const item = button.closest("[data-activity]");
      const feedback = find("[data-feedback-text]", item);
      const values = button.dataset.act === "done" && feedback ? { feedback: feedback.value } : {};
      button.disabled = true;
      try {
        await send(`/chatter/activities/${item.dataset.activity}/${button.dataset.act}/`, values);
      } finally {
        button.disabled = false;
        if (document.activeElement) document.activeElement.blur();
      }
      await refresh();
    }

    // ------------------------------------------------------------------------------------------- events
    root.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button || !root.contains(button)) return;
      const data = button.dataset;
      if ("open" in data) openComposer(data.open);
      else if ("close" in data) closeComposer();
      else if ("send" in data) attempt(() => post(button));
      else if ("plan" in data) attempt(() => openPlan(button));
      else if ("planSend" in data) attempt(plan);
      else if ("planClose" in data) find("[data-plan-form]").hidden = true;
      else if ("feedback" in data) {
        const box = find(".chatter-feedback", button.closest("[data-activity]"));
        box.hidden = !box.hidden;
        button.setAttribute("aria-expanded", String(!box.hidden));
        if (!box.hidden) find("textarea", box).focus();
      }
      else if ("act" in data) attempt(() => act(button));
      else if ("follow" in data) attempt(async () => { await send(base + data.follow + "/", {}); await refresh(); });
      else if ("unfollow" in data) attempt(async () => { await send(base + "unfollow/", { partner: data.unfollow }); button.blur(); await refresh(); });
      else if ("older" in data) attempt(() => older(button));
      else if ("edit" in data) edit(data.edit);
      else if ("remove" in data) {
        if (window.confirm(root.dataset.tRemove)) attempt(async () => { await send(`/chatter/messages/${data.remove}/remove/`, {}); await refresh(); });
      }
      else if ("removeFile" in data) {
        if (window.confirm(root.dataset.tRemoveFile)) attempt(async () => { await send(`/chatter/files/${data.removeFile}/remove/`, {}); button.blur(); await refresh(); });
      }
      else if ("cancelFailures" in data) attempt(async () => { await send(`/chatter/messages/${data.cancelFailures}/failures/cancel/`, {}); await refresh(); });
    });

    root.addEventListener("change", (event) => {
      if (event.target.matches("[data-files]")) {
        const input = event.target;
        attempt(() => upload(input.files)).finally(() => { input.value = ""; });
      }
    });

    root.addEventListener("input", (event) => {
      if (event.target.matches("[data-text]")) attempt(() => suggest(event.target));
      if (event.target.matches("[data-search]")) {
        clearTimeout(searchTimer);
        const text = event.target.value;
        searchTimer = setTimeout(() => attempt(() => search(text)), 300);
      }
    });

    root.addEventListener("keydown", (event) => {
      if (event.target.matches("[data-text]") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
        event.preventDefault();
        attempt(() => post(find("[data-send]")));
      }
      // In a form around the panel, Enter in one of our fields must not send that form.
      if (event.key === "Enter" && event.target.matches("input")) event.preventDefault();
      if (event.key === "Escape") {
        const list = find("[data-people]");
        if (list) list.hidden = true;
      }
    });

    root.addEventListener("paste", (event) => {
      if (!event.target.matches("[data-text]")) return;
      const files = Array.from((event.clipboardData || {}).files || []);
      if (files.length) { event.preventDefault(); attempt(() => upload(files)); }
    });

    dress(root);
    if (root.dataset.lazy) attempt(refresh);
    if (root.dataset.watch && window.MeridianLive) {
      window.MeridianLive.use(root.dataset.live);
      window.MeridianLive.watch(root.dataset.watch, refreshSoon);
    }
    // Who came by a link has no login and so no stream: look again now and then while the page is shown.
    else setInterval(() => { if (!document.hidden) refreshSoon(); }, 30000);
  }

  function setUpAll(within) {
    within.querySelectorAll("[data-chatter]").forEach(setUp);
  }

  window.MeridianThreads = { setUp: setUpAll };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => setUpAll(document));
  else setUpAll(document);
  document.addEventListener("htmx:load", (event) => setUpAll(event.target));
})();
