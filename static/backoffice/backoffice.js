"use strict";
/* Behaviour of the back office's own parts: menus that close, small forms sent in place, and pages that follow
   live notices (chatter/live.js holds the one connection of a page). */
(function () {
    const LATER = 400;

    function closeMenus(event) {
        for (const menu of document.querySelectorAll("details.bo-menu[open]")) {
            if (event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target)) {
                menu.removeAttribute("open");
            }
        }
    }

    function soon(call) {
        let timer = 0;
        return function () {
            window.clearTimeout(timer);
            timer = window.setTimeout(call, LATER);
        };
    }

    async function loadCounters() {
        const box = document.querySelector(".bo-counters[data-counters]");
        if (!box) {
            return;
        }
        const answer = await fetch(box.dataset.counters, { headers: { "X-Requested-With": "fetch" } });
        if (answer.ok && !answer.redirected) {
            box.innerHTML = await answer.text();
        }
    }

    /* <form data-bo-send="remove|reload">: post without leaving the page, then take the row away or load afresh. */
    async function send(event) {
        const form = event.target.closest("form[data-bo-send]");
        if (!form) {
            return;
        }
        event.preventDefault();
        const button = form.querySelector("button");
        button.disabled = true;
        const answer = await fetch(form.action, {
            method: "POST", body: new FormData(form), headers: { Accept: "application/json" },
        });
        if (!answer.ok) {
            const told = await answer.json().catch(() => ({}));
            button.disabled = false;
            button.title = told.message || String(answer.status);
            form.dataset.failed = "1";
            return;
        }
        if (form.dataset.boSend === "reload") {
            window.location.reload();
            return;
        }
        const row = form.closest("[data-bo-row]");
        if (row) {
            row.remove();
        }
        loadCounters();
    }

    /* A background run: its state and progress, and the whole page once it has ended. */
    function followRun(bar) {
        const ended = ["done", "partial", "failed", "cancelled"];
        const cell = document.querySelector(".field-progress .readonly");
        window.MeridianLive.watch(bar.dataset.record, function (notice) {
            if (notice.kind === "reset" || ended.includes(notice.data.state)) {
                window.location.reload();
            } else if (cell && notice.data.total) {
                cell.textContent = notice.data.done + " / " + notice.data.total;
            }
        });
    }

    /* Search boxes are drawn by select2, whose parts carry no name of their own: they get that of the field. */
    function nameSearchBoxes() {
        for (const select of document.querySelectorAll("select.select2-hidden-accessible")) {
            const label = select.id && document.querySelector('label[for="' + CSS.escape(select.id) + '"]');
            const cell = select.closest("[data-label]");
            const name = (label && label.textContent.trim()) || (cell && cell.dataset.label) || select.name;
            const box = select.nextElementSibling;
            if (!box) {
                continue;
            }
            for (const part of box.querySelectorAll(".select2-selection, .select2-selection__rendered, .select2-search__field")) {
                part.removeAttribute("aria-labelledby");
                part.setAttribute("aria-label", name);
            }
        }
    }

    function followLive() {
        if (!window.MeridianLive) {
            return;
        }
        const box = document.querySelector(".bo-counters[data-counters]");
        if (box) {
            window.MeridianLive.use(box.dataset.live);
            window.MeridianLive.onUser(soon(loadCounters));
        }
        const bar = document.querySelector(".bo-bar[data-follow]");
        if (bar) {
            followRun(bar);
        }
    }

    document.addEventListener("DOMContentLoaded", function () {
        document.addEventListener("click", closeMenus);
        document.addEventListener("keydown", closeMenus);
        document.addEventListener("submit", send);
        followLive();
        document.addEventListener("formset:added", () => window.setTimeout(nameSearchBoxes));
        document.addEventListener("click", () => window.setTimeout(nameSearchBoxes));
    });
    // The script that draws the boxes waits for "load" as well, and was registered later.
    window.addEventListener("load", () => window.setTimeout(nameSearchBoxes));
})();
