"use strict";
// Small helpers that the pages share. Text is always set as text: nothing that a server says can become markup.

/** Makes an element: `el("td", { class: "number" }, "12")`. Children are elements or text. */
function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/** Sets text only where it changed, so that a screen reader is not told the same thing each second. */
function say(element, text) {
  const wanted = String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** A tag in one of the four tones: good, wait, bad, note. */
function setTag(element, tone, text) {
  const wanted = tone ? `tag ${tone}` : "tag";
  if (element.className !== wanted) element.className = wanted;
  say(element, text);
}

/**
 * Brings `parent`'s children in line with `items`: keeps the child of each key, makes the new ones with `create`, drops
 * the others, and calls `update(child, item)` on each. Focus and scroll position survive.
 */
function keyed(parent, items, keyOf, create, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const key = String(keyOf(item));
    let child = before.get(key);
    before.delete(key);
    if (!child) {
      child = create(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
  before.forEach((child) => child.remove());
}

/** Fetches JSON of our own server; a session that has ended leads back to the sign-in page. */
async function fetchJson(path) {
  const response = await fetch(path, { headers: { accept: "application/json" }, cache: "no-store" });
  if (response.status === 401) {
    location.assign("/sign-in?ended");
    return new Promise(() => {});
  }
  const body = await response.json();
  if (!response.ok) throw new Error(`${body.detail} ${body.next}`);
  return body;
}

/** "not_recognised" → "Not recognised". */
function words(name) {
  const text = name.replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
