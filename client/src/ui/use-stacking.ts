import { useState } from 'react';

interface LayoutEvent {
  readonly nativeEvent: { readonly layout: { readonly width: number } };
}

interface TextLayoutEvent {
  readonly nativeEvent: { readonly lines: readonly { readonly width: number }[] };
}

/** Left free at the sides of a column, together. */
const ROOM = 8;
/** Widths are whole pixels, and those of a text that was made smaller are computed back. */
const INEXACT = 0.02;

export interface TextFit {
  readonly handlers: {
    /** The web: the text's box is as wide as its longest word. */
    readonly onLayout: (event: LayoutEvent) => void;
    /** React Native: a text that does not fit is broken, and its lines together are as wide as it wants to be. */
    readonly onTextLayout: (event: TextLayoutEvent) => void;
  };
  /** Below 1 where a whole line is too short for the text. */
  readonly scale: number;
}

/** Whether side-by-side columns are too narrow for their texts: long numbers, large text, small screens. */
export function useStacking(columns: number) {
  const [rowWidth, setRowWidth] = useState(0);
  /** As each text wants to be, by its name. */
  const [widths, setWidths] = useState<ReadonlyMap<string, number>>(new Map());
  const isStacked = rowWidth > 0 && Math.max(0, ...widths.values()) > rowWidth / columns - ROOM;

  const note = (name: string, width: number): void =>
    setWidths((known) => {
      const before = known.get(name);
      const isKnown = before !== undefined && Math.abs(before - width) <= before * INEXACT;
      return isKnown ? known : new Map(known).set(name, width);
    });

  return {
    isStacked,
    onRowLayout: ({ nativeEvent }: LayoutEvent): void => setRowWidth(nativeEvent.layout.width),
    /** For the text with this name. */
    fit: (name: string): TextFit => {
      const scale = isStacked ? Math.min((rowWidth - ROOM) / (widths.get(name) ?? 1), 1) : 1;
      return {
        scale,
        handlers: {
          onLayout: ({ nativeEvent }) => note(name, nativeEvent.layout.width / scale),
          onTextLayout: ({ nativeEvent }) =>
            note(name, nativeEvent.lines.reduce((sum, line) => sum + line.width, 0) / scale),
        },
      };
    },
  };
}
