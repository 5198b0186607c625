/* One connection a page for live notices: server-sent events, or asking now and then where that does not work.
 *
 *   const stop = MeridianLive.watch("projects.task:7", notice => …)   notice = {channel, kind, data}
 *   MeridianLive.onUser(notice => …)                                  the signed-in user's own channel
 *
 * A hidden page lets go of its connection, because browsers allow six a host, and catches up when it is shown again.
 */
(function () {
  "use strict";
  if (window.MeridianLive) return;

  const POLL_MS = 20000;
  const watches = new Map(); // "projects.task:7" -> Set of functions
  const users = new Set();
  let url = "/live/";
  let source = null;
  let poll = 0;
  let last = "";
  let scheduled = 0;
  let refused = false;

  function query(extra) {
    const parts = Array.from(watches.keys(), (name) => "watch=" + encodeURIComponent(name));
    if (last) parts.push("since=" + encodeURIComponent(last));
    return "?" + parts.concat(extra || []).join("&");
  }

  function call(functions, notice) {
    functions.forEach((heard) => {
      try { heard(notice); } catch (error) { console.error(error); }
    });
  }

  function hand(notice) {
    if (notice.kind === "hello") return;
    if (notice.kind === "reset") {
      watches.forEach((functions) => call(functions, notice));
      call(users, notice);
      return;
    }
    const at = notice.channel.indexOf(":");
    const kind = notice.channel.slice(0, at);
    const name = notice.channel.slice(at + 1);
    if (kind === "user") call(users, notice);
    else call(watches.get(name) || [], notice);
  }

  function close() {
    if (source) { source.close(); source = null; }
    if (poll) { clearInterval(poll); poll = 0; }
  }

  function open() {
    close();
    if (document.hidden || (!watches.size && !users.size)) return;
    if (!window.EventSource || refused) { startPolling(); return; }
    source = new EventSource(url + query());
    source.onmessage = (event) => {
      if (event.lastEventId) last = event.lastEventId;
      hand(JSON.parse(event.data));
    };
    source.onerror = () => {
      // While it connects again by itself there is nothing to do; closed for good means: refused.
      if (source && source.readyState === EventSource.CLOSED) { refused = true; open(); }
    };
  }

  function startPolling() {
    ask();
    poll = setInterval(ask, POLL_MS);
  }

  function ask() {
    fetch(url + "poll/" + query(), { credentials: "same-origin", headers: { Accept: "application/json" } })
      .then((answer) => {
        if (answer.status === 401) { close(); return null; }
        return answer.ok ? answer.json() : Promise.reject(new Error(String(answer.status)));
      })
      .then((body) => {
        if (!body) return;
        last = body.last;
        if (body.reset) hand({ channel: "", kind: "reset", data: {} });
        else body.events.forEach(hand);
      })
      .catch(() => hand({ channel: "", kind: "reset", data: {} })); // nobody knows: load afresh
  }

  function later() {
    clearTimeout(scheduled);
    scheduled = setTimeout(open, 50);
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) close();
    else later();
  });
  window.addEventListener("pagehide", close);

  window.MeridianLive = {
    use(address) { if (address && address !== url) { url = address; later(); } },
    watch(name, heard) {
      if (!watches.has(name)) watches.set(name, new Set());
      watches.get(name).add(heard);
      later();
      return () => {
        const functions = watches.get(name);
        if (functions) functions.delete(heard);
        if (functions && !functions.size) watches.delete(name);
        later();
      };
    },
    onUser(heard) { users.add(heard); later(); return () => { users.delete(heard); later(); }; },
  };
})();
