"use strict";

// What all scripts of whence view share: elements, requests, what is said. Everything comes from the
// page's own address; texts are set as texts, so that no name of a file can become markup.

const visitor = [...crypto.getRandomValues(new Uint8Array(16))].map(n => n.toString(16).padStart(2, "0")).join("");
const main = document.getElementById("main");
const state = { run: null, asked: null, answer: null, view: "ask", uploads: [], kept: new Set(), saved: "[]" };

function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false || (name === "value" && tag === "select")) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "value" || name === "checked" || name === "disabled") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== ""));
  if (tag === "select" && given.value !== undefined) element.value = given.value; // its options are there only now
  return element;
}

function say(text, error = false) {
  const line = document.getElementById("status");
  line.textContent = text;
  line.className = error ? "error" : "";
}

function call(action, given = {}) {
  return send(`/api/${action}`, JSON.stringify(given));
}

async function send(address, body) {
  let response;
  try {
    response = await fetch(address, { method: "POST", headers: { "X-Whence": visitor }, body });
  } catch {
    throw new Error("The viewer does not answer; it may have been stopped.");
  }
  const found = await response.json().catch(() => ({ error: `The viewer answered ${response.status}.` }));
  if (!response.ok) throw new Error(found.error || `The viewer answered ${response.status}.`);
  return found;
}

function attempt(work) {
  return async event => {
    try { await work(event); } catch (error) { say(error.message, true); }
  };
}

// What was asked for last wins: every view and every question takes a number, and what comes of an
// older one is dropped, its error too.

let newest = 0;

async function latest(waiting, work, draw) {
  const mine = ++newest;
  const current = () => mine === newest;
  say(waiting);
  main.setAttribute("aria-busy", "true");
  try {
    const found = await work(current);
    if (!current()) return;
    say("");
    draw(found);
  } catch (error) {
    if (current()) throw error;
  } finally {
    if (current()) main.removeAttribute("aria-busy");
  }
}

// What is drawn anew has the focus where it was: a person at a keyboard goes on from there.

function keyOf(element) {
  const within = element.closest("section[id], nav[id]")?.id ?? "";
  const card = element.closest("li[data-index]");
  const own = card ? "" : element.id || element.getAttribute("aria-label") || element.textContent;
  return { within, key: [within, card ? `${card.parentElement.className} ${card.dataset.index}` : "", element.tagName, element.type ?? "", own].join("|") };
}

function redraw(place, ...parts) {
  const held = place.contains(document.activeElement) && document.activeElement !== place ? keyOf(document.activeElement) : null;
  place.replaceChildren(...parts);
  if (!held) return;
  const again = [...place.querySelectorAll("button, input, select, summary, canvas")].find(one => !one.disabled && keyOf(one).key === held.key);
  (again ?? document.getElementById(held.within) ?? place).focus();
}

function speak(text) {
  document.getElementById("spoken").textContent = text;
}

// A share is never rounded to a false 0 or 100, as in the sentences that the viewer sends.

function percent(share) {
  if (share === 0 || share === 1) return `${100 * share}%`;
  if (share < 0.001) return "under 0.1%";
  return share > 0.999 ? "over 99.9%" : `${(100 * share).toFixed(1)}%`;
}

function picture(address, alt, extra = "") {
  const sharpen = event => event.target.classList.toggle("small", event.target.naturalWidth <= 64); // its pixels stay squares
  return address ? make("img", { src: address, alt, class: extra, loading: "lazy", onload: sharpen }) : make("p", { class: "soft" }, "no picture");
}

// A name of a file may be divided where its folders are.

function named(name) {
  return make("span", { class: "name" }, name.split("/").map((part, place) => place ? ["/", make("wbr"), part] : part));
}

function choose(label, options, current, onchange, empty = null) {
  const select = make("select", { value: current, onchange: event => onchange(event.target.value) },
    empty === null ? null : make("option", { value: "" }, empty),
    options.map(one => Array.isArray(one) ? make("option", { value: one[0] }, one[1]) : make("option", { value: one }, one)));
  return make("label", {}, label, select);
}
