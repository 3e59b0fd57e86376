import { useEffect, useRef, useState } from 'react';

/** As often as a screen reader may be given something to say. */
const EVERY_MS = 4_000;

/**
 * A text for a live region: follows `text` that much later, however often it changes, and says the last one. What was
 * said of another `subject` is not said of this one.
 */
export function useUnhurried(subject: object, text: string): string {
  const [said, say] = useState({ subject, text: '' });
  const latest = useRef({ subject, text });
  const spoken = said.subject === subject ? said.text : '';
  const isBehind = text !== spoken;
  useEffect(() => {
    latest.current = { subject, text };
  }, [subject, text]);
  useEffect(() => {
    if (!isBehind) return;
    const timer = setTimeout(() => say(latest.current), EVERY_MS);
    return () => clearTimeout(timer);
  }, [subject, isBehind]);
  return spoken;
}
