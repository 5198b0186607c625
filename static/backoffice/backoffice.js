"use strict";
/* Behaviour of the back office's own parts: menus that close, counters and threads that follow live events. */
(function () {
    const LATER = 400;

    function closeMenus(event) {
        for (const menu of document.querySelectorAll("details.bo-menu[open]")) {
            if (event.type === "keydown" ? event.key === "Escape" : !menu.contains(event.target)) {
                menu.removeAttribute("open");
            }
        }
    }

    function debounce(call) {
        let timer = 0;
        return function () {
            window.clearTimeout(timer);
            timer = window.setTimeout(call, LATER);
        };
    }

    async function loadCounters(box) {
        const answer = await fetch(box.dataset.counters, { headers: { "X-Requested-With": "fetch" } });
        if (answer.ok && !answer.redirected) {
            box.innerHTML = await answer.text();
        }
    }

    /* One stream a page: the user's own channel, and the record that the page shows. Other scripts listen for
       "bo:live" on the document. */
    function connect() {
        const box = document.querySelector(".bo-counters[data-live]");
        const bar = document.querySelector(".bo-bar[data-record]");
        if (!box || !window.EventSource) {
            return;
        }
        const watch = bar ? "?watch=" + encodeURIComponent(bar.dataset.record) : "";
        const stream = new EventSource(box.dataset.live + watch, { withCredentials: true });
        const refresh = debounce(() => loadCounters(box));
        const handle = function (event) {
            let notice = {};
            try {
                notice = JSON.parse(event.data || "{}");
            } catch (error) {
                return;
            }
            if (!notice.channel || notice.channel.startsWith("user:") || notice.kind === "reset") {
                refresh();
            }
            document.dispatchEvent(new CustomEvent("bo:live", { detail: notice }));
        };
        stream.onmessage = handle;
        stream.addEventListener("notice", handle);
        stream.addEventListener("reset", handle);
        window.addEventListener("pagehide", () => stream.close());
    }

    document.addEventListener("DOMContentLoaded", function () {
        document.addEventListener("click", closeMenus);
        document.addEventListener("keydown", closeMenus);
        connect();
    });
})();
