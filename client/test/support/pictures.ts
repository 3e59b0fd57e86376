import sharp from 'sharp';

/** Saves a screenshot with a palette: a third of the bytes. */
export async function savePng(screenshot: Buffer, path: string): Promise<void> {
  await sharp(screenshot).png({ palette: true, quality: 100, effort: 10 }).toFile(path);
}

export interface Frame {
  readonly screenshot: Buffer;
  readonly durationMs: number;
}

/** Saves a GIF that is played for ever. */
export async function saveGif(frames: readonly Frame[], width: number, path: string): Promise<number> {
  const images = await Promise.all(
    frames.map(({ screenshot }) => sharp(screenshot).resize({ width }).png().toBuffer()),
  );
  const { size } = await sharp(images, { join: { animated: true } })
    .gif({
      colours: 128,
      dither: 0,
      reuse: true,
      interFrameMaxError: 6,
      effort: 10,
      loop: 0,
      delay: frames.map(({ durationMs }) => Math.round(durationMs)),
    })
    .toFile(path);
  return size;
}
