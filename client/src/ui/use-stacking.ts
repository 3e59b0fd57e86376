import { useState } from 'react';

interface LayoutEvent {
  readonly nativeEvent: { readonly layout: { readonly width: number } };
}

interface TextLayoutEvent {
  readonly nativeEvent: { readonly lines: readonly { readonly width: number }[] };
}

/** Left free at the sides of a column, together. */
const ROOM = 8;

export interface TextMeasures {
  /** The web: the text's box is as wide as its longest word. */
  readonly onLayout: (event: LayoutEvent) => void;
  /** React Native: a text that does not fit is broken, and its lines together are as wide as it wants to be. */
  readonly onTextLayout: (event: TextLayoutEvent) => void;
}

/** Whether side-by-side columns are too narrow for their texts: long numbers, large text, small screens. */
export function useStacking(columns: number) {
  const [rowWidth, setRowWidth] = useState(0);
  const [widths, setWidths] = useState<Readonly<Record<string, number>>>({});
  const isStacked = rowWidth > 0 && Math.max(0, ...Object.values(widths)) > rowWidth / columns - ROOM;

  const note = (key: string, width: number): void =>
    setWidths((known) => (known[key] === width ? known : { ...known, [key]: width }));

  return {
    isStacked,
    onRowLayout: ({ nativeEvent }: LayoutEvent): void => setRowWidth(nativeEvent.layout.width),
    /** For the text with this name. */
    measure: (key: string): TextMeasures => ({
      onLayout: ({ nativeEvent }) => note(key, nativeEvent.layout.width),
      onTextLayout: ({ nativeEvent }) =>
        note(
          key,
          nativeEvent.lines.reduce((sum, line) => sum + line.width, 0),
        ),
    }),
  };
}
