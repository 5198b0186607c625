/* Forms with an example that the server works out from what stands in them. */

const LATER = 300;

async function ask(box, form) {
    const body = box.querySelector(".ac-preview-body");
    const answer = await fetch(box.dataset.preview, {
        method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
    });
    const told = await answer.json();
    if (answer.ok) {
        body.innerHTML = told.html;
        body.classList.remove("is-refused");
        return;
    }
    const texts = Object.values(told.fields || {}).flat();
    body.textContent = texts.length ? texts.join(" ") : told.message;
    body.classList.add("is-refused");
}

/* Fields that mean something only with a certain choice elsewhere: ``data-when="name=value"``. */
function unfold(form) {
    for (const part of form.querySelectorAll("[data-when]")) {
        const [name, wanted] = part.dataset.when.split("=");
        part.hidden = form.elements[name]?.value !== wanted;
    }
}

for (const box of document.querySelectorAll("[data-preview]")) {
    const form = document.getElementById(box.dataset.form);
    let timer = 0;
    const later = () => {
        window.clearTimeout(timer);
        timer = window.setTimeout(() => ask(box, form), LATER);
    };
    if (form) {
        form.addEventListener("input", later);
        form.addEventListener("change", later);
        document.addEventListener("formset:added", later);
        document.addEventListener("formset:removed", later);
        window.addEventListener("load", () => {
            if (window.django && window.django.jQuery) {
                window.django.jQuery(form).on("change", "select", later);
            }
        });
        form.addEventListener("change", () => unfold(form));
        unfold(form);
        ask(box, form);
    }
}
