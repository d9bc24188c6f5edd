/** The editor of notes: paragraphs, headings, lists and emphasis; everything by keyboard and by button. Loaded when it is needed. */
import {
  EditorState, EditorView, Plugin, Schema, XmlElement, XmlText, baseKeymap, chainCommands, initProseMirrorDoc, inputRules, keymap, liftListItem, redo,
  setBlockType, sinkListItem, splitListItem, textblockTypeInputRule, toggleMark, undo, wrapInList, wrappingInputRule, yCursorPlugin,
  ySyncPlugin, ySyncPluginKey, yUndoPlugin, yUndoPluginKey,
} from "../vendor/editor.js";

export {
  Awareness, Doc, applyAwarenessUpdate, applyUpdate, decodeStateVector, encodeAwarenessUpdate, encodeStateAsUpdate, encodeStateVector, mergeUpdates,
  removeAwarenessStates,
} from "../vendor/editor.js";

/** @typedef {import("../vendor/editor.js").EditorState} State */
/** @typedef {import("prosemirror-state").Command} Command */

const schema = new Schema({
  nodes: {
    doc: { content: "block+" },
    paragraph: { group: "block", content: "inline*", parseDOM: [{ tag: "p" }], toDOM: () => ["p", { dir: "auto" }, 0] },
    // Below the page's own headings.
    heading: {
      group: "block",
      content: "inline*",
      attrs: { level: { default: 3 } },
      defining: true,
      parseDOM: ["h1", "h2", "h3", "h4", "h5", "h6"].map((tag) => ({ tag })),
      toDOM: () => ["h3", { dir: "auto" }, 0],
    },
    bullet_list: { group: "block", content: "list_item+", parseDOM: [{ tag: "ul" }], toDOM: () => ["ul", 0] },
    ordered_list: { group: "block", content: "list_item+", parseDOM: [{ tag: "ol" }], toDOM: () => ["ol", 0] },
    list_item: { content: "paragraph (block)*", defining: true, parseDOM: [{ tag: "li" }], toDOM: () => ["li", 0] },
    text: { group: "inline" },
    hard_break: { group: "inline", inline: true, selectable: false, parseDOM: [{ tag: "br" }], toDOM: () => ["br"] },
  },
  marks: {
    strong: { parseDOM: [{ tag: "strong" }, { tag: "b" }], toDOM: () => ["strong", 0] },
    em: { parseDOM: [{ tag: "em" }, { tag: "i" }], toDOM: () => ["em", 0] },
  },
});
/** Blocks that hold text. */
const TEXTS = new Set(["paragraph", "heading"]);
const { paragraph, heading, bullet_list, ordered_list, list_item } = schema.nodes;
const { strong, em } = schema.marks;

/** What the buttons do, by their `data-notes`. */
const COMMANDS = {
  strong: toggleMark(strong),
  em: toggleMark(em),
  heading: headed,
  bullet_list: listed(bullet_list),
  ordered_list: listed(ordered_list),
  undo: (/** @type {State} */ state) => undo(state),
  redo: (/** @type {State} */ state) => redo(state),
};

/** Which buttons are pressed. */
const ON = /** @type {Record<string, (state: State) => boolean>} */ ({
  strong: (state) => marked(state, strong),
  em: (state) => marked(state, em),
  heading: (state) => within(state, heading),
  bullet_list: (state) => within(state, bullet_list),
  ordered_list: (state) => within(state, ordered_list),
});

/**
 * Shows the text in `place` and lets it be edited while `editable` says so.
 * @param {HTMLElement} place
 * @param {object} options
 * @param {import("yjs").XmlFragment} options.fragment
 * @param {import("../vendor/editor.js").Awareness} options.awareness
 * @param {() => boolean} options.editable
 * @param {HTMLElement[]} options.buttons
 * @param {string} options.somebody whom no name is known of
 * @param {number} options.most characters that may be pasted at once
 * @param {() => void} options.onTooMuch
 */
export function open(place, { fragment, awareness, editable, buttons, somebody, most, onTooMuch }) {
  // Without a block there would be no place for the cursor.
  const { doc, mapping } = fragment.length ? initProseMirrorDoc(fragment, schema) : {};
  const view = new EditorView(place, {
    state: EditorState.create({
      schema,
      doc,
      plugins: [
        ySyncPlugin(fragment, { mapping }),
        yCursorPlugin(awareness, { cursorBuilder: cursor(somebody), selectionBuilder: () => ({ class: "notes__selected" }) }),
        yUndoPlugin(),
        inputRules({
          rules: [
            wrappingInputRule(/^\s*[-*]\s$/, bullet_list),
            wrappingInputRule(/^\s*1[.)]\s$/, ordered_list),
            textblockTypeInputRule(/^#\s$/, heading),
          ],
        }),
        keymap(keys()),
        keymap(baseKeymap),
        new Plugin({ view: () => ({ update: (view) => show(view, buttons) }) }),
      ],
    }),
    editable,
    attributes: () => ({
      role: "textbox",
      "aria-multiline": "true",
      "aria-readonly": String(!editable()),
      ...(place.dataset.label ? { "aria-label": place.dataset.label } : {}),
      class: "notes__text",
      tabindex: "0",
    }),
    handlePaste(_, __, slice) {
      const tooMuch = slice.size > most;
      if (tooMuch) onTooMuch();
      return tooMuch;
    },
  });
  fragment.observeDeep(furnish);
  for (const button of buttons) wire(button, buttons, view);
  show(view, buttons);
  return {
    dom: view.dom,
    /** Looks again whether it may be edited. */
    refresh() {
      view.setProps({});
      show(view, buttons);
    },
    destroy() {
      fragment.unobserveDeep(furnish);
      view.destroy();
      for (const button of buttons) button.onclick = button.onmousedown = null;
    },
  };
}

/**
 * Who makes an empty paragraph makes its text too. Else two who begin to write there at once would make one each, and y-prosemirror,
 * which knows only one, puts each into the other: what was written is there twice.
 * @param {import("yjs").YEvent<any>[]} events
 * @param {import("yjs").Transaction} transaction
 */
function furnish(events, { origin, doc }) {
  if (origin !== ySyncPluginKey) return;
  const made = events.flatMap(({ changes }) => [...changes.added].flatMap(({ content }) => content.getContent()));
  const empty = made.flatMap((type) => (type instanceof XmlElement ? withoutText(type) : []));
  if (empty.length) doc.transact(() => empty.forEach((element) => element.insert(0, [new XmlText()])), ySyncPluginKey);
}

/**
 * @param {import("yjs").XmlElement} element
 * @returns {import("yjs").XmlElement[]}
 */
function withoutText(element) {
  if (TEXTS.has(element.nodeName)) return element.length ? [] : [element];
  return element.toArray().flatMap((child) => (child instanceof XmlElement ? withoutText(child) : []));
}

/**
 * Tab is not among them: it leaves the editor. A line break would part the text in two (see `furnish`), so there is none to type.
 */
function keys() {
  const enter = chainCommands(splitListItem(list_item), /** @type {Command} */ (baseKeymap.Enter));
  return {
    "Mod-b": COMMANDS.strong,
    "Mod-i": COMMANDS.em,
    "Mod-z": COMMANDS.undo,
    "Mod-y": COMMANDS.redo,
    "Shift-Mod-z": COMMANDS.redo,
    "Mod-]": sinkListItem(list_item),
    "Mod-[": liftListItem(list_item),
    Enter: enter,
    "Shift-Enter": enter,
  };
}

/**
 * @param {HTMLElement} button
 * @param {HTMLElement[]} buttons
 * @param {EditorView} view
 */
function wire(button, buttons, view) {
  const command = /** @type {Record<string, Command>} */ (COMMANDS)[button.dataset.notes ?? ""];
  button.onmousedown = (event) => event.preventDefault(); // the text keeps its selection
  button.onclick = () => {
    if (!command || button.getAttribute("aria-disabled") === "true") return;
    command(view.state, view.dispatch, view);
    show(view, buttons);
    if (!button.matches(":focus-visible")) view.focus();
  };
}

/**
 * @param {EditorView} view
 * @param {HTMLElement[]} buttons
 */
function show(view, buttons) {
  const manager = yUndoPluginKey.getState(view.state)?.undoManager;
  for (const button of buttons) {
    const name = button.dataset.notes ?? "";
    const on = ON[name];
    if (on) set(button, "aria-pressed", String(on(view.state)));
    const possible = name === "undo" ? manager?.canUndo() : name === "redo" ? manager?.canRedo() : true;
    set(button, "aria-disabled", String(!view.editable || !possible));
  }
}

/**
 * @param {Element} element
 * @param {string} name
 * @param {string} value
 */
function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @type {Command} */
function headed(state, dispatch, view) {
  return setBlockType(within(state, heading) ? paragraph : heading)(state, dispatch, view);
}

/**
 * Makes a list, turns one kind into the other, or ends it.
 * @param {import("prosemirror-model").NodeType} kind
 * @returns {Command}
 */
function listed(kind) {
  return (state, dispatch) => {
    if (within(state, kind)) return liftListItem(list_item)(state, dispatch);
    const { $from } = state.selection;
    for (let depth = $from.depth; depth > 0; depth--) {
      const node = $from.node(depth);
      if (node.type !== bullet_list && node.type !== ordered_list) continue;
      dispatch?.(state.tr.setNodeMarkup($from.before(depth), kind));
      return true;
    }
    return wrapInList(kind)(state, dispatch);
  };
}

/**
 * @param {State} state
 * @param {import("prosemirror-model").NodeType} kind
 */
function within(state, kind) {
  const { $from } = state.selection;
  for (let depth = $from.depth; depth > 0; depth--) {
    const { type } = $from.node(depth);
    if (type === kind) return true;
    if (type === bullet_list || type === ordered_list) return false;
  }
  return false;
}

/**
 * @param {State} state
 * @param {import("prosemirror-model").MarkType} mark
 */
function marked(state, mark) {
  const { empty, $from, from, to } = state.selection;
  if (empty) return Boolean(mark.isInSet(state.storedMarks ?? $from.marks()));
  return state.doc.rangeHasMark(from, to, mark);
}

/**
 * Where somebody else writes: their name beside the text. Not for who listens, in whose sentence it would stand.
 * @param {string} somebody
 * @returns {(user: {name?: string}) => HTMLElement}
 */
function cursor(somebody) {
  return (user) => {
    const place = document.createElement("span");
    place.className = "notes__cursor";
    place.setAttribute("aria-hidden", "true");
    const name = document.createElement("span");
    name.className = "notes__name";
    name.textContent = user.name || somebody;
    // Word joiners: a line does not break at the cursor.
    place.append("\u2060", name, "\u2060");
    return place;
  };
}
