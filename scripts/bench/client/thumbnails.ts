import sharp from 'sharp';
import { drive, rate, type User, type World } from '../workload/world.js';
import { numbers } from './language.js';
import type { Report } from './report.js';

const [WIDTH, HEIGHT] = [1_600, 1_200];
const AT_ONCE = 4;

/** A picture unlike the others: soft blotches of colour, as hard to decode as a photograph. */
async function picture(seed: number): Promise<Buffer> {
  const [width, height] = [WIDTH / 16, HEIGHT / 16];
  const next = numbers(seed);
  const pixels = Buffer.from(Array.from({ length: width * height * 3 }, () => next() * 256));
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .resize(WIDTH, HEIGHT)
    .jpeg({ quality: 85 })
    .toBuffer();
}

/** Asks for thumbnails of pictures that differ, none of which has been made before, and then for the same again. */
export async function measureThumbnails(
  world: World,
  report: Report,
  { user, count }: { user: User; count: number },
): Promise<void> {
  const paths: string[] = [];
  for (let i = 0; i < count; i++) {
    const body = await picture(i);
    const { content_uri } = await world.ok('POST', '/_matrix/media/v3/upload', user, body);
    const id = String(content_uri).slice('mxc://'.length);
    paths.push(`/_matrix/client/v1/media/thumbnail/${id}?width=640&height=480&method=scale`);
  }
  const ask = async (): Promise<number> => {
    const work = (i: number): Promise<Buffer> => world.bytes('GET', paths[i]!, user);
    return rate(await drive(paths.length, AT_ONCE, work));
  };
  await report.rate(`thumbnails made/s, JPEG of ${WIDTH} × ${HEIGHT}, ${AT_ONCE} at once`, ask);
  await report.rate('thumbnails kept/s', ask);
}
