"use strict";
// All that models, files and people wrote becomes text nodes: nothing here parses markup, and nothing is fetched.
const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("filters");
const list = document.getElementById("list");
const more = document.getElementById("more");
const STATES = ["regressed", "fixed", "failed", "unscored", "passed", "scored"];
const CHUNK = 100;
let found = [], drawn = 0;

function element(name, attributes = {}, ...inner) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...inner);
  return made;
}

const answers = (each) => each.answers.filter(Boolean);
const has = (each, state) => answers(each).some((answer) => answer.state === state);
const tagsOf = (each) => Object.entries(each.tags).map(([tag, value]) => `${tag}=${value}`);
const rulesOf = (each) => answers(each).flatMap((answer) => answer.findings.map(([rule]) => rule));

function textOf(each) {
  // made when it is first looked for: most readers look for nothing
  each.text ??= [
    each.key, ...tagsOf(each), each.expect, ...each.prompt.map(([, text]) => data.texts[text]), ...Object.values(each.before),
    ...answers(each).flatMap((answer) => [answer.now, ...answer.findings.map(([, text]) => text)]),
  ].filter(Boolean).join("\n").toLowerCase();
  return each.text;
}

function counted(values) {
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function fill(name, pairs, all = "all") {
  const select = form.elements[name];
  select.append(element("option", { value: "" }, all));
  for (const [value, count] of pairs) select.append(element("option", { value }, `${value} (${count})`));
}

function fillFilters() {
  const states = STATES.map((state) => [state, data.cases.filter((each) => has(each, state)).length]);
  fill("state", states.filter(([, count]) => count), `all ${data.cases.length}`);
  fill("unit", counted(data.cases.map((each) => each.unit)));
  fill("tag", counted(data.cases.flatMap(tagsOf)));
  fill("finding", counted(data.cases.flatMap((each) => [...new Set(rulesOf(each))])));
}

function matches(each, wanted) {
  return (!wanted.state || has(each, wanted.state))
    && (!wanted.unit || each.unit === wanted.unit)
    && (!wanted.tag || tagsOf(each).includes(wanted.tag))
    && (!wanted.finding || rulesOf(each).includes(wanted.finding))
    && (!wanted.critical || each.critical)
    && (!wanted.text || textOf(each).includes(wanted.text.toLowerCase()));
}

const read = () => new URLSearchParams(location.hash.slice(1));

function wanted() {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
}

function keep(changes = {}) {
  const state = new URLSearchParams(wanted());
  const open = "case" in changes ? changes.case : read().get("case");
  if (open) state.set("case", open);
  history.replaceState(null, "", `#${state}`);
}

function show() {
  const filters = wanted();
  found = data.cases.filter((each) => matches(each, filters));
  list.replaceChildren();
  drawn = 0;
  const of = found.length === data.cases.length ? "" : ` of ${data.cases.length}`;
  document.getElementById("count").textContent = `${found.length}${of} case${data.cases.length === 1 ? "" : "s"}`;
  draw();
}

function draw() {
  const next = found.slice(drawn, drawn + CHUNK);
  drawn += next.length;
  list.append(...next.map(row));
  more.hidden = drawn >= found.length;
  more.textContent = `${found.length - drawn} more cases`;
}

function row(each) {
  const states = [...new Set(answers(each).map((answer) => answer.state))];
  const summary = element("summary", {}, ...states.map((state) => element("span", { class: `badge ${state}` }, state)));
  if (each.critical) summary.append(element("span", { class: "badge regressed" }, "critical"));
  summary.append(each.key, element("span", { class: "tags" }, tagsOf(each).join(", ")));
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
  if (each.sealed) {
    made.append(element("p", {}, "Sealed: neither what it asks nor what was answered is shown."));
    return made;
  }
  for (const [role, text] of each.prompt) made.append(part(role, pre(data.texts[text])));
  if (each.expect) made.append(part("expected", pre(each.expect)));
  const columns = Object.entries(each.before).map(([name, text]) => part(`before: ${name}`, pre(text ?? "(none)")));
  each.answers.forEach((answer, index) => answer && columns.push(now(answer, data.candidates[index])));
  made.append(element("div", { class: "answers" }, ...columns));
  if (each.command) made.append(part(`ask again (${each.place})`, pre(each.command)));
  return made;
}

function now(answer, name) {
  const made = part(`now: ${name}`, pre(answer.now ?? "(none)"));
  for (const text of answer.repeats) made.append(part("another answer", pre(text ?? "(none)")));
  const difference = answer.fields.length ? fields(answer.fields) : answer.pieces.length ? words(answer.pieces) : null;
  if (difference) made.append(part("difference", difference));
  if (answer.findings.length) {
    made.append(part("findings", element("ul", {}, ...answer.findings.map(([, text]) => element("li", {}, text)))));
  }
  return made;
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
  for (const name of ["state", "unit", "tag", "finding", "text"]) form.elements[name].value = state.get(name) ?? "";
  form.elements.critical.checked = state.has("critical");
  show();
  reveal(state.get("case"));
}

function reveal(key) {
  const index = found.findIndex((each) => each.key === key);
  if (index < 0) return;
  while (drawn <= index) draw();
  const details = list.children[index].firstChild;
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
fillFilters();
restore();
