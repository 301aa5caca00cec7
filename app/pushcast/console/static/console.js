// Keeps a page up to date and lets plots be read point by point. Without it every page still says all there is.

const RETRIES = 3;
const POLL_MS = 5000;
const region = document.getElementById("live");
const link = document.getElementById("link");

if (region?.dataset.live) follow(region.dataset.live);
document.addEventListener("pointermove", (event) => point(event.target.closest?.(".plot > svg"), event.clientX));
document.addEventListener("keydown", (event) => step(event));
prepare(document);

/** A stream while the tab is looked at; after three failures the page is asked for every 5 seconds. */
function follow(url) {
  let source = null;
  let failures = 0;
  let lostAt = null;
  let timer = null;

  const say = () => {
    link.textContent = lostAt ? `Not live since ${lostAt}.` : "Live.";
    link.classList.toggle("lost", Boolean(lostAt));
  };
  const back = () => {
    failures = 0;
    lostAt = null;
    say();
  };
  const lost = () => {
    failures += 1;
    lostAt ??= new Date().toISOString().slice(11, 19);
    say();
  };
  const open = () => {
    if (document.hidden || source) return;
    source = new EventSource(url);
    source.addEventListener("page", (event) => {
      back();
      show(event.data);
    });
    source.addEventListener("error", () => {
      lost();
      if (failures >= RETRIES || source?.readyState === EventSource.CLOSED) poll();
    });
  };
  const close = () => {
    source?.close();
    source = null;
    clearTimeout(timer);
    timer = null;
  };
  const poll = () => {
    close();
    timer = setTimeout(async () => {
      try {
        const answer = await fetch(location.href, { redirect: "error" });
        const text = await answer.text();
        const found = new DOMParser().parseFromString(text, "text/html").getElementById("live");
        if (answer.ok && found) {
          show(found.innerHTML);
          back();
          close();
          open();
          return;
        }
        lost();
      } catch {
        lost();
      }
      poll();
    }, POLL_MS);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  open();
}

/** Puts a whole new value there; what was opened stays open, and the focus stays where it was. */
function show(html) {
  if (region.contains(document.activeElement) && /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) return;
  const opened = new Set([...region.querySelectorAll("details[open]")].map((each) => each.dataset.key));
  const index = [...region.querySelectorAll("a, button, summary, .plot > svg")].indexOf(document.activeElement);
  region.innerHTML = html;
  for (const each of region.querySelectorAll("details")) if (opened.has(each.dataset.key)) each.open = true;
  prepare(region);
  if (index >= 0) region.querySelectorAll("a, button, summary, .plot > svg")[index]?.focus({ preventScroll: true });
}

/** A plot is walked with the arrow keys. */
function prepare(root) {
  for (const svg of root.querySelectorAll(".plot > svg")) svg.setAttribute("tabindex", "0");
}

function rows(svg) {
  return [...svg.closest(".plot").querySelectorAll("tbody tr")].sort((a, b) => a.dataset.x - b.dataset.x);
}

function point(svg, clientX) {
  if (!svg) return;
  const box = svg.getBoundingClientRect();
  const x = ((clientX - box.left) / box.width) * svg.querySelector(".lines").viewBox.baseVal.width;
  const all = rows(svg);
  const distance = (row) => Math.abs(row.dataset.x - x);
  read(svg, all, all.reduce((best, row, index) => (distance(row) < distance(all[best]) ? index : best), 0));
}

function step(event) {
  const svg = event.target.closest?.(".plot > svg");
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!svg || !by) return;
  event.preventDefault();
  const all = rows(svg);
  const last = svg.dataset.row ? Number(svg.dataset.row) : by > 0 ? -1 : all.length;
  read(svg, all, Math.min(all.length - 1, Math.max(0, last + by)));
}

function read(svg, all, index) {
  if (!all[index]) return;
  svg.dataset.row = index;
  const plot = svg.closest(".plot");
  const names = [...plot.querySelectorAll("thead th")].map((each) => each.textContent);
  const cells = [...all[index].cells].map((each, at) => `${names[at]} ${each.textContent}`);
  plot.querySelector(".readout").textContent = cells.filter((text) => !/ 0(\.0)?$/.test(text)).join(" · ");
  const cursor = svg.querySelector(".cursor");
  cursor.removeAttribute("hidden");
  cursor.setAttribute("x1", all[index].dataset.x);
  cursor.setAttribute("x2", all[index].dataset.x);
}
