// Keeps the page up to date with server-sent events; filters and sorts without asking. Whole without it, too.
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const live = byId("live"), table = byId("table"), rows = table.tBodies[0], form = document.forms[0];
  const { q, state, sort } = form.elements;
  const silence = 15000;
  let at = document.body.dataset.at;
  let ahead = Number(document.body.dataset.now) - Date.now();
  let source = null, heard = Date.now(), patience = heard + silence, lost = null, news = [];

  // Times, as the server tells them.
  function span(seconds) {
    if (seconds < 120) return seconds + " s";
    if (seconds < 7200) return Math.floor(seconds / 60) + " min";
    if (seconds < 172800) return Math.floor(seconds / 3600) + " h";
    return Math.floor(seconds / 86400) + " days";
  }
  function tell(root) {
    const now = Date.now() + ahead;
    for (const time of root.querySelectorAll("time.ago")) {
      const past = now - Date.parse(time.dateTime), seconds = Math.floor(Math.abs(past) / 1000);
      const words = seconds < 1 || (past > 0 && time.classList.contains("due"))
        ? "now" : past > 0 ? span(seconds) + " ago" : "in " + span(seconds);
      if (time.textContent !== words) time.textContent = words;
    }
  }

  // One element takes the place of another, and nobody loses the focus or an opened part.
  function swap(old, fresh) {
    const focus = old.contains(document.activeElement) ? document.activeElement : null;
    const kind = focus?.localName, number = focus && [...old.querySelectorAll(kind)].indexOf(focus);
    const opened = old.querySelectorAll("details");
    fresh.querySelectorAll("details").forEach((part, number) => { part.open = !!opened[number]?.open; });
    compare(old, fresh);
    tell(fresh);
    old.replaceWith(fresh);
    if (focus) {
      const heir = fresh.querySelectorAll(kind)[number] || fresh.querySelector("summary, a");
      heir?.focus({ preventScroll: true });
    }
  }
  function compare(old, fresh) {
    const titles = (part) => new Map([...part.querySelectorAll("article")].map(
      (one) => [one.id, one.querySelector("h3").textContent]));
    if (old.id === "incidents") {
      const before = titles(old), after = titles(fresh);
      after.forEach((title, id) => before.has(id) || news.push("New incident: " + title + "."));
      before.forEach((title, id) => after.has(id) || news.push("No longer open: " + title + "."));
    } else if (old.dataset.state && old.dataset.state !== fresh.dataset.state) {
      news.push(fresh.dataset.name + " is " + fresh.dataset.state + ".");
    }
  }
  function settle() {
    if (news.length) {
      byId("said").textContent = news.slice(0, 5).join(" ") + (news.length > 5 ? " And more." : "");
    }
    news = [];
    document.title = document.querySelector(".verdict").textContent + " \u2013 bc-secrets-sync";
    arrange();
  }

  // Filter and order. Where the server left stores out, it is asked instead.
  const cut = () => "cut" in table.dataset;
  const orders = {
    worst: (a, b) => b.rank - a.rank,
    name: () => 0,
    newest: (a, b) => b.since - a.since,
    unchecked: (a, b) => a.checked - b.checked,
  };
  function arrange() {
    if (!cut()) {
      const text = q.value.trim().toLowerCase();
      let shown = 0;
      for (const row of rows.rows) {
        const fits = (!state.value || row.dataset.state === state.value) &&
          (!text || row.cells[0].textContent.toLowerCase().includes(text));
        row.hidden = !fits;
        shown += fits;
      }
      const said = shown + " of " + rows.rows.length + " stores are shown.";
      if (byId("shown").textContent !== said) byId("shown").textContent = said;
    }
    const order = orders[sort.value] || orders.worst, name = (row) => row.dataset.name;
    const sorted = [...rows.rows].sort((a, b) => order(a.dataset, b.dataset) ||
      (name(a) < name(b) ? -1 : 1));
    const focus = document.activeElement;
    let place = rows.firstElementChild;
    for (const row of sorted) {
      if (row === place) place = place.nextElementSibling;
      else rows.insertBefore(row, place);
    }
    if (focus !== document.activeElement) focus.focus({ preventScroll: true });
  }
  q.addEventListener("input", arrange);
  for (const choice of [state, sort]) {
    choice.addEventListener("change", () => (cut() ? form.requestSubmit() : arrange()));
  }
  form.addEventListener("submit", (event) => {
    if (cut()) return;
    event.preventDefault();
    arrange();
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#counts a");
    if (!link || cut()) return;
    event.preventDefault();
    const wanted = new URL(link.href).searchParams.get("state");
    state.value = state.value === wanted ? "" : wanted;
    arrange();
  });

  // The stream.
  function say(words, mood) {
    if (live.textContent !== words) live.textContent = words;
    live.className = mood;
  }
  function hears(says) {
    heard = Date.now();
    patience = heard + silence;
    if (lost) byId("said").textContent = "The page is live again.";
    lost = null;
    if (says === "live") say("Live", "live"); else say("Trouble: " + says, "lost");
  }
  function loses() {
    if (lost) return;
    lost = new Date(heard + ahead).toISOString().slice(11, 19);
    say("Not live since " + lost + " UTC; trying again. What you see may be old.", "lost");
    byId("said").textContent = live.textContent;
  }
  function apply(update) {
    ahead = update.now - Date.now();
    for (const [id, html] of Object.entries(update.parts)) {
      const old = byId(id), made = document.createElement("template");
      made.innerHTML = html;
      if (old) swap(old, made.content.firstElementChild);
    }
    settle();
  }
  function close() {
    source?.close();
    source = null;
  }
  function open() {
    if (source || document.hidden) return;
    source = new EventSource("events?since=" + encodeURIComponent(at));
    source.addEventListener("beat", (event) => hears(event.data));
    source.addEventListener("update", (event) => {
      at = event.lastEventId;
      hears("live");
      apply(JSON.parse(event.data));
    });
    source.addEventListener("stale", () => { close(); reload(); });
    source.addEventListener("error", () => {
      // A stream that ends is opened again in a moment. If not, that is said soon.
      patience = Math.min(patience, Date.now() + 5000);
      // Too many listeners: the browser would not try again.
      if (source?.readyState === 2) close();
    });
  }
  async function reload() {
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (!answer.ok) throw new Error(answer.status);
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      at = page.body.dataset.at;
      ahead = Number(page.body.dataset.now) - Date.now();
      for (const part of ["headline", "incidents", "counts", "vault", "channels", "timeline", "foot"]) {
        swap(byId(part), page.getElementById(part));
      }
      const fresh = page.getElementById("table");
      table.toggleAttribute("data-cut", "cut" in fresh.dataset);
      byId("shown").replaceWith(page.getElementById("shown"));
      const wanted = new Set();
      for (const row of [...fresh.tBodies[0].rows]) {
        const old = byId(row.id);
        wanted.add(row.id);
        if (old) swap(old, row); else rows.append(row);
      }
      for (const row of [...rows.rows]) if (!wanted.has(row.id)) row.remove();
      settle();
      open();
    } catch {
      loses();
    }
  }

  setInterval(() => {
    if (document.hidden) return;
    tell(document);
    if (Date.now() > patience) {
      loses();
      close();
      patience = Date.now() + 5000;
      open();
    } else if (!source) {
      open();
    }
  }, 1000);
  document.addEventListener("visibilitychange", () => {
    // Browsers allow few connections; a page that nobody sees needs none.
    if (document.hidden) close(); else { patience = Date.now() + silence; open(); }
  });
  document.documentElement.classList.add("scripted");
  settle();
  open();
})();
