import { converseInSecret, converseThroughKills } from './encrypted-conversation.ts';

// What the test calls from outside, by name and with JSON.
Object.assign(globalThis, { converseInSecret, converseThroughKills });
