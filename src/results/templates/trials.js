// The table of all trials: sorted by a click on a head, filtered by words and by the axes above it.
const STATES = ["complete", "running", "pruned", "failed", "interrupted"];
const AT_ONCE = 25;

function makeColumns() {
  const scores = all.objectives.map(({ name, lower }, k) => ({
    name, values: all.values[k], down: !lower,
    // Without a score a trial shows what it had come to, and stays behind those with one.
    show: i => all.values[k][i] !== null ? digits(all.values[k][i]) : k === 0 && all.estimate[i] !== null ? `(${digits(all.estimate[i])})` : "",
    title: k === 0 ? `${name}; in brackets: estimated when the trial was ended` : name,
  }));
  const found = [
    { name: "trial", values: all.number, show: i => String(all.number[i]) },
    { name: "state", values: all.state, words: true, show: i => all.state[i] },
    ...scores,
    ...(all.cleanName ? [{ name: all.cleanName, values: all.clean, down: !all.objectives[0].lower, title: "on the pages as they are", show: i => all.clean[i] === null ? "" : digits(all.clean[i]) }] : []),
    { name: "folds", values: all.spread, title: "standard deviation over the folds", show: i => all.spread[i] === null ? "" : `± ${all.spread[i].toFixed(4)}` },
    ...all.parameters.map(({ key, label }, k) => ({ name: label, title: key, key, values: all.params[k], show: i => few(all.params[k][i]) })),
    { name: "epochs", values: all.epochs, down: true, show: i => String(all.epochs[i] ?? "") },
    { name: "time", values: all.seconds, down: true, show: i => all.seconds[i] === null ? "" : clock(all.seconds[i]) },
    { name: "memory", values: all.memory, down: true, title: "of the card, at most", show: i => all.memory[i] === null ? "" : `${all.memory[i]} GB` },
    { name: "worker", values: all.worker, words: true, show: i => all.worker[i] ?? "" },
  ];
  return found.filter(({ name, values }) => ["trial", "state"].includes(name) || values.some(value => value !== null));
}

const columns = makeColumns();
const table = document.getElementById("trials-table"), filter = document.getElementById("filter");
let sorted = null, limit = AT_ONCE, kept = [];

// The best first, then those that were ended early, by their estimates, then the others.
function rank(a, b) {
  const sign = all.objectives[0].lower ? 1 : -1, place = i => STATES.indexOf(all.state[i]);
  const score = i => all.values[0][i] ?? all.estimate[i];
  return place(a) - place(b) || compare(score(a), score(b), sign) || all.number[a] - all.number[b];
}

// What is not there comes last, whichever way is sorted.
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (typeof a === "string" || typeof b === "string" ? String(a).localeCompare(String(b), undefined, { numeric: true }) : a - b);
}

const OPERATORS = {
  "=": (a, b) => a === b, "!=": (a, b) => a !== b, "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
};

// A word of the filter as a test of a row, or a string that says what is wrong with it.
function testOf(word) {
  const found = word.match(/^([^<>=!]+)(<=|>=|!=|=|<|>)(.+)$/);
  if (!found) {
    const wanted = word.toLowerCase();
    if (/^\d+$/.test(word)) return i => all.number[i] === +word;
    return i => columns.some(({ values }) => typeof values[i] === "string" && values[i].toLowerCase().includes(wanted));
  }
  const [, name, operator, text] = found;
  const column = columns.find(each => each.key === name) || columns.find(each => each.name.toLowerCase() === name.toLowerCase());
  if (!column) return `no column ${name}`;
  const number = text.trim() !== "" && Number.isFinite(+text);
  if (!number && operator.match(/[<>]/)) return `${text} is no number`;
  return i => {
    const value = column.values[i];
    if (value === null || value === undefined) return false;
    if (typeof value === "number" && number) {
      // As it is shown, equal means equal.
      return OPERATORS[operator](operator.match(/^!?=$/) ? +few(value) : value, operator.match(/^!?=$/) ? +few(+text) : +text);
    }
    return OPERATORS[operator](String(value).toLowerCase(), text.toLowerCase());
  };
}

function update() {
  const tests = filter.value.trim().split(/\s+/).filter(Boolean).map(testOf), wrong = tests.filter(test => typeof test === "string");
  const brushed = parallel.test();
  kept = all.number.map((_, i) => i).filter(i => brushed(i) && tests.every(test => typeof test === "string" || test(i)));
  kept.sort(sorted ? (a, b) => compare(sorted.column.values[a], sorted.column.values[b], sorted.sign) || rank(a, b) : rank);
  document.getElementById("count").textContent = wrong.length ? wrong.join("; ") : kept.length === all.number.length ? `${kept.length} trial${kept.length === 1 ? "" : "s"}` : `${kept.length} of ${all.number.length} trials`;
  document.getElementById("clear").hidden = kept.length === all.number.length && !filter.value;
  parallel.draw(new Set(kept));
  rows();
}

const shownTrials = () => kept;

function rows() {
  table.tHead.replaceChildren(h("tr", {}, ...columns.map(column => h("th", {
    scope: "col", title: column.title ?? null, class: column.words ? "words" : null,
    "aria-sort": sorted?.column === column ? (sorted.sign > 0 ? "ascending" : "descending") : null,
  }, h("button", { type: "button", onclick: () => sortBy(column) }, column.name)))));
  table.tBodies[0].replaceChildren(...kept.slice(0, limit).map(i => h("tr", {
    class: all.number[i] === all.chosen ? "best" : null, "data-trial": all.number[i],
    onclick: event => { if (!event.target.closest("a")) openTrial(all.number[i]); },
    onmouseenter: () => parallel.highlight(i), onmouseleave: () => parallel.highlight(null),
  }, ...columns.map(column => column.name === "trial"
    ? h("td", {}, h("a", { href: `#trial-${all.number[i]}` }, column.show(i)), all.number[i] === all.defaults ? h("span", { class: "soft" }, " defaults") : null)
    : h("td", { class: column.words ? "words" : all.state[i] !== "complete" && column.down !== undefined ? "soft" : null }, column.show(i))))));
  const more = document.getElementById("more"), left = kept.length - limit;
  more.hidden = left <= 0;
  more.textContent = left > 200 ? `Show 200 more of ${left}` : `Show ${left} more`;
}

// First the way that is asked for most, then the other, then by rank again.
function sortBy(column) {
  const first = column.down ? -1 : 1;
  if (sorted?.column !== column) sorted = { column, sign: first };
  else sorted = sorted.sign === first ? { column, sign: -first } : null;
  const at = columns.indexOf(column);
  update();
  table.tHead.querySelectorAll("button")[at].focus();
}

if (table) {
  table.classList.toggle("wide", columns.length > 12);
  filter.addEventListener("input", () => { limit = AT_ONCE; update(); });
  document.getElementById("clear").addEventListener("click", () => { filter.value = ""; parallel.clear(); update(); });
  document.getElementById("more").addEventListener("click", () => { limit += Math.min(200, kept.length - limit); rows(); });
  update();
}
