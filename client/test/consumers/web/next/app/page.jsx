import { Suspense } from 'react';
import { Lines } from './lines';
import { Status } from './status';

export const dynamic = 'force-dynamic';

/** Streams in when the server of the test says so: after the rest of the page is live. */
async function Late() {
  await fetch('https://example.com/late');
  return <Lines id="late" />;
}

export default function Page() {
  return (
    <main>
      <Status />
      <Lines id="early" />
      <Suspense fallback="Loading…">
        <Late />
      </Suspense>
    </main>
  );
}
