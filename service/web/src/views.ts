// Saved views: a page and its address under a name, kept by the service, of whoever saved it or shared with all.

import { get, send } from "./api";
import { askName, tell } from "./dialog";
import { h } from "./dom";
import { act } from "./exports";
import { item, menu } from "./menu";

export interface SavedView { view_id: string; name: string; page: string; address: string; owner: string; shared: boolean; own: boolean }

export const addressOfView = (view: SavedView): string => `${view.page}${view.address && `?${view.address}`}`;

export async function savedViews(): Promise<SavedView[]> {
  return (await get<{ rows: SavedView[] }>("/views")).rows;
}

/** Saves what is shown under a name; the view of that name, where there is one, is then this one. */
export async function saveView(): Promise<void> {
  const name = await askName("Save this view as");
  if (name === null) return;
  const page = location.pathname.replace(/^\/app\//, "");
  await send("POST", "/views", { name, page, address: location.search.slice(1) });
  tell(`The view ${name} is saved.`);
}

async function rename(view: SavedView): Promise<void> {
  const name = await askName("New name of the view", view.name);
  if (name !== null && name !== view.name) await send("PUT", `/views/${view.view_id}`, { name });
}

async function share(view: SavedView): Promise<void> {
  await send("PUT", `/views/${view.view_id}`, { shared: !view.shared });
  tell(view.shared ? `The view ${view.name} is yours alone again.` : `The view ${view.name} is shared with all who may use this service.`);
}

async function remove(view: SavedView): Promise<void> {
  await send("DELETE", `/views/${view.view_id}`);
  tell(`The view ${view.name} is deleted.`);
}

export function viewsMenu(): HTMLElement {
  return menu("Views", async () => {
    const views = await savedViews();
    const row = (view: SavedView) => h("div", { class: "menu-row" },
      h("a", { href: addressOfView(view) }, view.name), !view.own && h("small", { class: "faint" }, view.owner), view.own && view.shared && h("small", { class: "faint" }, "shared"),
      ...(view.own
        ? [
            item("Rename", () => act(() => rename(view)), { "aria-label": `Rename ${view.name}` }),
            item(view.shared ? "Unshare" : "Share", () => act(() => share(view)), { "aria-label": `${view.shared ? "Unshare" : "Share"} ${view.name}` }),
            item("Delete", () => act(() => remove(view)), { "aria-label": `Delete ${view.name}` }),
          ]
        : []));
    return [item("Save this view …", () => act(saveView)), ...(views.length ? views.map(row) : [h("p", { class: "faint" }, "No view is saved yet.")])];
  });
}
