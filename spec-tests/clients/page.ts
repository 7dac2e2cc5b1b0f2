import { SdkSession } from './sdk-session.ts';

// What the test calls from outside, by name and with JSON.
Object.assign(globalThis, { session: new SdkSession() });
