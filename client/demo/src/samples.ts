/** Pictures to try it with: small landscapes, each different. */
const SIZE = 160;

function paint(canvas: HTMLCanvasElement): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const hue = Math.floor(Math.random() * 360);
  const sky = context.createLinearGradient(0, 0, 0, SIZE);
  sky.addColorStop(0, `hsl(${hue} 70% 62%)`);
  sky.addColorStop(1, `hsl(${(hue + 40) % 360} 80% 86%)`);
  context.fillStyle = sky;
  context.fillRect(0, 0, SIZE, SIZE);
  context.fillStyle = `hsl(${(hue + 180) % 360} 90% 92%)`;
  context.beginPath();
  context.arc(30 + Math.random() * 100, 30 + Math.random() * 30, 14, 0, 7);
  context.fill();
  for (let ridge = 0; ridge < 3; ridge += 1) {
    context.fillStyle = `hsl(${(hue + 200) % 360} 35% ${48 - ridge * 13}%)`;
    context.beginPath();
    context.moveTo(0, SIZE);
    const phase = Math.random() * 7;
    for (let x = 0; x <= SIZE; x += 4) context.lineTo(x, 90 + ridge * 24 + Math.sin(x / 22 + phase) * (14 - ridge * 3));
    context.lineTo(SIZE, SIZE);
    context.fill();
  }
}

/** A JPEG file of a few kilobytes. */
export function sampleImage(index: number): Promise<File> {
  const canvas = document.createElement('canvas');
  canvas.width = SIZE;
  canvas.height = SIZE;
  paint(canvas);
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => {
      if (blob) resolve(new File([blob], `sample-${index}.jpg`, { type: 'image/jpeg' }));
      else reject(new Error('The browser made no image.'));
    }, 'image/jpeg');
  });
}
