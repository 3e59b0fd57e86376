/** What a server renders, and what the browser finds when it hydrates: about to connect, whatever the system's theme. */
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';
import { expect, it, vi } from 'vitest';
import { createStatusClient, RealtimeStorageStatus } from '../../src/web/index.js';

vi.mock('react-native', async (original) => ({
  ...(await original<object>()),
  useColorScheme: () => 'dark',
}));

it.each(['en', 'id-ID', undefined])('server HTML says that it connects, not that it is paused (%s)', (locale) => {
  const fetch = vi.fn();
  const client = createStatusClient({ baseUrl: 'https://status.test/api', fetch });
  const html = renderToString(createElement(RealtimeStorageStatus, { source: client, theme: 'auto', locale }));
  expect(html).toContain(locale === 'id-ID' ? 'Menghubungkan…' : 'Connecting…');
  expect(html).not.toMatch(/Paused|Dijeda|\(Live\)|\(Langsung\)|undefined/);
  expect(html).toContain('color:rgba(0,71,171,1.00)'); // the light theme's title: a server knows no system
  expect(fetch).not.toHaveBeenCalled();
});

it('the web’s legend hands its case on: one that cannot be asked for is refused, also on a server', () => {
  const source = createStatusClient({ baseUrl: 'https://status.test/api' });
  const of = (caseId?: string): string => renderToString(createElement(RealtimeStorageStatus, { source, caseId }));
  expect(of('a')).toBe(of());
  expect(() => of('..')).toThrow(/caseId/);
});
