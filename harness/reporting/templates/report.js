"use strict";
// All text of models, files and people becomes text nodes: nothing here parses markup. Cases in files beside the page
// are loaded by script elements, the only requests that a page opened from disk may make.
const index = jsonOf(document.getElementById("index"));
const files = jsonOf(document.getElementById("files"));
const inside = document.getElementsByClassName("piece");
const count = files.length || inside.length;
const form = document.getElementById("filters");
const list = document.getElementById("list");
const more = document.getElementById("more");
const every = document.getElementById("all");
const counter = document.getElementById("count");
const STATES = ["regressed", "fixed", "failed", "unscored", "passed", "scored"];
const CHUNK = 100;
const LONG = 1000; // characters
const ALL = "all"; // in the address: no state chosen, where the page would open on the regressed cases
const pieces = new Map(), arrived = new Map();
let found = [], drawn = 0, texts = null, reading = null;
index.cases = index.cases.map(([end, kind], number) => ({ ...index.kinds[kind], key: index.kinds[kind].prefix + end, number }));

function jsonOf(block) {
  return JSON.parse(block.textContent);
}

function element(name, attributes = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inner);
  return made;
}

// called by each file of cases
window.tunegatePiece = (name, text) => arrived.set(name, JSON.parse(text));

function fromFile(name) {
  return new Promise((resolve, reject) => {
    const script = element("script", { src: name });
    const missing = () => reject(new Error(`${name} does not load: expected it beside this page`));
    script.addEventListener("load", () => (arrived.has(name) ? resolve(arrived.get(name)) : missing()));
    script.addEventListener("error", missing);
    document.head.append(script);
  });
}

function piece(number) {
  if (!pieces.has(number)) {
    const loaded = files.length ? fromFile(files[number]) : Promise.resolve(jsonOf(inside[number]));
    pieces.set(number, loaded);
    loaded.catch(() => pieces.delete(number)); // the next call tries again
  }
  return pieces.get(number);
}

function caseOf(held, each) {
  const found = held.cases[each.number % index.piece];
  return { ...found, prompt: found.prompt.map(([role, text]) => [role, held.texts[text]]) };
}

const pieceOf = (each) => Math.floor(each.number / index.piece);

// the texts of all cases, read at the first search
async function readTexts() {
  const all = await Promise.all(Array.from({ length: count }, (_, number) => piece(number)));
  texts = index.cases.map((each) => textOf(each, caseOf(all[pieceOf(each)], each)));
}

function textOf(each, held) {
  return [
    each.key, ...each.tags, held.expect, ...held.prompt.map(([, text]) => text), ...Object.values(held.before),
    ...held.outputs.flatMap((output) => (output ? [output.now, ...output.findings.flat()] : [])),
  ].filter(Boolean).join("\n").toLowerCase();
}

const has = (each, state) => each.states.includes(state);

const hasRegressed = () => index.cases.some((each) => has(each, "regressed"));

const counted = (number) => number.toLocaleString("en");

function countsOf(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function fill(name, pairs, all = "all") {
  const select = form.elements[name];
  select.append(element("option", { value: "" }, all));
  for (const [value, number] of pairs) select.append(element("option", { value }, `${value} (${counted(number)})`));
}

function fillFilters() {
  const states = STATES.map((state) => [state, index.cases.filter((each) => has(each, state)).length]);
  fill("state", states.filter(([, number]) => number), `all ${counted(index.cases.length)}`);
  fill("unit", countsOf(index.cases.map((each) => each.unit)));
  fill("tag", countsOf(index.cases.flatMap((each) => each.tags)));
  fill("finding", countsOf(index.cases.flatMap((each) => each.rules)));
}

function matches(each, wanted) {
  return (!wanted.state || has(each, wanted.state))
    && (!wanted.unit || each.unit === wanted.unit)
    && (!wanted.tag || each.tags.includes(wanted.tag))
    && (!wanted.finding || each.rules.includes(wanted.finding))
    && (!wanted.critical || each.critical)
    && (!wanted.text || texts[each.number].includes(wanted.text.toLowerCase()));
}

const read = () => new URLSearchParams(location.hash.slice(1));

function wanted() {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
}

function keep(changes = {}) {
  const state = new URLSearchParams(wanted());
  const open = "case" in changes ? changes.case : read().get("case");
  if (open) state.set("case", open);
  if (![...state].length && hasRegressed()) state.set("state", ALL); // an empty address shows what regressed
  history.replaceState(null, "", `#${state}`);
}

function show(key = "") {
  const filters = wanted();
  if (filters.text && !texts) {
    counter.textContent = "reading the texts of all cases";
    reading ??= readTexts().finally(() => { reading = null; });
    reading.then(() => show(key), complain);
    return;
  }
  found = index.cases.filter((each) => matches(each, filters));
  list.replaceChildren();
  drawn = 0;
  const of = found.length === index.cases.length ? "" : ` of ${counted(index.cases.length)}`;
  counter.textContent = `${counted(found.length)}${of} case${index.cases.length === 1 ? "" : "s"}`;
  every.hidden = !of;
  if (!found.length && of) counter.textContent += ": no case matches all filters";
  draw();
  reveal(key);
}

function complain(error) {
  list.replaceChildren();
  more.hidden = true;
  counter.textContent = error.message;
}

function draw() {
  const next = found.slice(drawn, drawn + CHUNK);
  drawn += next.length;
  list.append(...next.map(row));
  more.hidden = drawn >= found.length;
  more.textContent = `${counted(found.length - drawn)} more cases`;
}

function row(each) {
  const states = [...new Set(each.states.filter(Boolean))];
  const summary = element("summary", {}, ...states.map((state) => element("span", { class: `badge ${state}` }, state)));
  if (each.critical) summary.append(element("span", { class: "badge regressed" }, "critical"));
  summary.append(each.key, element("span", { class: "tags" }, each.tags.join(", ")));
  const details = element("details", {}, summary);
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(each));
    if (details.open) keep({ case: each.key });
    else if (read().get("case") === each.key) keep({ case: "" });
  });
  details.dataset.key = each.key;
  return element("li", {}, details);
}

function part(title, ...inner) {
  return element("div", {}, element("h4", {}, title), ...inner);
}

const pre = (text) => element("pre", { tabindex: "0" }, text);

function body(each) {
  const made = element("div", { class: "body" });
  made.append(element("p", {}, element("a", { href: `#${new URLSearchParams({ case: each.key })}` }, "link to this case")));
  if (each.sealed) made.append(element("p", {}, "Sealed: input and output are hidden."));
  else piece(pieceOf(each)).then((held) => made.append(...parts(caseOf(held, each))), (error) => made.append(element("p", {}, error.message)));
  return made;
}

function parts(held) {
  const made = held.prompt.map(([role, text]) => turn(role, text));
  if (held.expect) made.push(part("expected", pre(held.expect)));
  const columns = Object.entries(held.before).map(([name, text]) => part(name, pre(text ?? "(none)")));
  const side = columns.length ? "this change" : "output";
  held.outputs.forEach((output, number) => output && columns.push(now(output, `${side}: ${index.candidates[number]}`)));
  made.push(element("div", { class: "outputs" }, ...columns));
  if (held.command) made.push(part(`re-run (${held.place})`, pre(held.command)));
  return made;
}

// a long prompt is folded, so that the outputs are near
function turn(role, text) {
  if (text.length <= LONG) return part(role, pre(text));
  return element("details", {}, element("summary", {}, `${role}, ${counted(text.length)} characters`), pre(text));
}

function now(output, title) {
  const made = part(title, pre(output.now ?? "(none)"));
  for (const text of output.repeats) made.append(part("another output", pre(text ?? "(none)")));
  const difference = output.fields.length ? fields(output.fields) : output.pieces.length ? words(output.pieces) : null;
  if (difference) made.append(part("difference", difference));
  if (output.findings.length) {
    made.append(part("findings", element("ul", {}, ...output.findings.map(finding))));
  }
  return made;
}

function finding([text, source]) {
  return element("li", {}, text, ...(source ? [element("small", {}, `see ${source}`)] : []));
}

function words(pieces) {
  const names = { before: "del", now: "ins" };
  return element("pre", { tabindex: "0" }, ...pieces.map(([side, text]) => (names[side] ? element(names[side], {}, text) : text)));
}

function fields(changed) {
  return element("pre", { tabindex: "0" }, ...changed.flatMap(([path, before, after]) => [
    `${path}: `, element("del", {}, before || "(none)"), " ", element("ins", {}, after || "(none)"), "\n",
  ]));
}

function restore() {
  const state = read();
  const chosen = [...state].length > 0;
  if (!chosen && hasRegressed()) state.set("state", "regressed");
  if (state.get("state") === ALL) state.delete("state");
  for (const name of ["state", "unit", "tag", "finding", "text"]) form.elements[name].value = state.get(name) ?? "";
  form.elements.critical.checked = state.has("critical");
  if (chosen && Object.keys(wanted()).length && !state.has("case")) document.getElementById("cases").scrollIntoView();
  show(state.get("case"));
}

function reveal(key) {
  const place = found.findIndex((each) => each.key === key);
  if (place < 0) return;
  while (drawn <= place) draw();
  const details = list.children[place].firstChild;
  details.open = true;
  details.scrollIntoView();
}

form.addEventListener("input", () => { keep({ case: "" }); show(); });
form.addEventListener("reset", () => setTimeout(() => { keep({ case: "" }); show(); }));
form.addEventListener("submit", (event) => event.preventDefault());
more.addEventListener("click", () => {
  const first = drawn;
  draw();
  list.children[first].querySelector("summary").focus();
});
window.addEventListener("hashchange", restore);
every.textContent = `show all ${counted(index.cases.length)} cases`;
fillFilters();
restore();
