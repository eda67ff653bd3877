// What the pages do beyond links and forms, which work without it: fetching again what changes, and checking what is typed.
"use strict";

// The parts of this page that change, from the same address.
async function refresh() {
  if (document.hidden) return;
  const response = await fetch(location.href, { credentials: "same-origin", redirect: "manual" });
  if (!response.ok) {
    if (response.type === "opaqueredirect") location.reload();
    return;
  }
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("[data-live]")) {
    const other = fresh.getElementById(part.id);
    const isInUse = part.contains(document.activeElement) && document.activeElement.matches("input, select, textarea, button, summary, .scroll");
    const selected = document.getSelection();
    const isSelected = selected && !selected.isCollapsed && part.contains(selected.anchorNode);
    if (other && !isInUse && !isSelected && other.innerHTML !== part.innerHTML) {
      const places = [...part.querySelectorAll(".scroll")].map((box) => [box.scrollLeft, box.scrollTop]);
      part.replaceChildren(...document.adoptNode(other).childNodes);
      [...part.querySelectorAll(".scroll")].forEach((box, number) => {
        if (places[number]) [box.scrollLeft, box.scrollTop] = places[number];
      });
    }
  }
  document.title = fresh.title;
  document.body.dataset.refresh = fresh.body.dataset.refresh ?? "";
}

async function keepFresh() {
  for (;;) {
    const seconds = Number(document.body.dataset.refresh);
    if (!seconds) return;
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    try {
      await refresh();
    } catch {
      // The page may be restarting: what is shown stays until it answers again.
    }
  }
}

// A field with data-check is sent to that address as it is typed, and the answer is shown below it.
function checkAsTyped(field) {
  let waiting;
  let asked = 0;
  const place = document.getElementById(field.dataset.shows);
  const check = async () => {
    const number = ++asked;
    const query = new URLSearchParams(new FormData(field.form));
    for (const name of [...query.keys()]) if (name === "csrf" || name.startsWith("secret.")) query.delete(name);
    query.set("field", field.name);
    query.set("value", field.value);
    const address = `${field.dataset.check}?${new URLSearchParams([["field", field.name], ["value", field.value], ["directory", query.get("set.directory") ?? ""]])}`;
    const response = await fetch(address, { credentials: "same-origin" });
    if (!response.ok || number !== asked) return;
    const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
    place.replaceChildren(...fresh.body.childNodes);
    field.setAttribute("aria-invalid", place.querySelector(".danger") ? "true" : "false");
  };
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => check().catch(() => {}), 300);
  });
}

// A form is sent once: a second press of its button does nothing.
document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
addEventListener("pageshow", (event) => {
  if (event.persisted) for (const form of document.forms) delete form.dataset.sent;
});

document.querySelectorAll("[data-check]").forEach(checkAsTyped);
keepFresh();
