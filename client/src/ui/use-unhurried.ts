import { useEffect, useRef, useState } from 'react';

/** As often as a screen reader may be given something to say. */
const EVERY_MS = 4_000;

/** A text for a live region: follows `text` that much later, however often it changes, and says the last one. */
export function useUnhurried(text: string): string {
  const [spoken, speak] = useState('');
  const latest = useRef(text);
  const isBehind = text !== spoken;
  useEffect(() => {
    latest.current = text;
  }, [text]);
  useEffect(() => {
    if (!isBehind) return;
    const timer = setTimeout(() => speak(latest.current), EVERY_MS);
    return () => clearTimeout(timer);
  }, [isBehind]);
  return spoken;
}
