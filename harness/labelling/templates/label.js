"use strict";
// All text of models and people becomes text nodes: nothing here parses markup.
const byId = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll("#keys button")];
const help = byId("help");
let turn = 0, isBusy = true, isOver = false;

function block(name, text) {
  const heading = document.createElement("h3"), body = document.createElement("pre");
  heading.textContent = name;
  body.textContent = text;
  const made = document.createElement("div");
  made.append(heading, body);
  return made;
}

function show(state) {
  turn = state.turn;
  const { outputs } = state, isLeft = outputs.length > 0;
  byId("title").textContent = isLeft ? (outputs.length === 2 ? "Which is right?" : "Is it right?") : "Nothing is left to label";
  say([state.said, state.progress].filter(Boolean).join(" "), false);
  const about = [["context", state.context], ["notes", state.notes]].filter(([, text]) => text);
  byId("asked").parentElement.hidden = !isLeft;
  byId("input").replaceChildren(...[...state.turns, ...about].map(([name, text]) => block(name, text)));
  const names = outputs.length === 2 ? ["left", "right"] : ["output"];
  byId("outputs").replaceChildren(...outputs.map((text, side) => block(names[side], text)));
  for (const button of buttons) {
    const { key } = button.dataset;
    if (!/[0-9]/.test(key)) { button.hidden = key === "s" && !isLeft; continue; }
    button.hidden = !(key in state.keys);
    const mark = document.createElement("kbd");
    mark.textContent = key;
    button.replaceChildren(mark, ` ${state.keys[key] ?? ""}`);
  }
  if (document.activeElement?.hidden) document.activeElement.blur();
}

function say(text, isTrouble) {
  byId("said").textContent = text;
  document.querySelector("header").classList.toggle("trouble", isTrouble);
}

function end(text, isTrouble) {
  isOver = true;
  byId("title").textContent = "Stopped";
  document.querySelector("main").hidden = true;
  say(text, isTrouble);
}

async function ask(path, options) {
  isBusy = true;
  try {
    const response = await fetch(path, { cache: "no-store", ...options }), state = await response.json();
    if (state.error) say(`Not saved: ${state.error}`, true);
    else if (state.stopped) end(`${state.progress}. Everything is saved; this page can be closed.`, false);
    else show(state);
  } catch {
    end("The command is not running any more. What was said to be saved is; run it again to go on.", true);
  }
  isBusy = false;
}

function press(key) {
  if (isBusy || isOver) return;
  if (key === "?") { help.showModal(); return; }
  ask("key", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ key, turn }) });
}

for (const button of buttons) button.addEventListener("click", () => press(button.dataset.key));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || help.open) return;
  const key = event.key.toLowerCase();
  if (buttons.some((button) => button.dataset.key === key && !button.hidden)) { event.preventDefault(); press(key); }
});
ask("state", {});
