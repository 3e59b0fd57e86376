'use client';
import { useServerInsertedHTML } from 'next/navigation';
import { StyleSheet } from 'react-native';

export function Styles({ children }) {
  useServerInsertedHTML(() => {
    const { id, textContent } = StyleSheet.getSheet();
    return <style id={id} dangerouslySetInnerHTML={{ __html: textContent }} />;
  });
  return children;
}
