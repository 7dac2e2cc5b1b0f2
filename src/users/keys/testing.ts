import type { DeviceId, UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import { type SigningKey, signedBytes, signingKeyFromSeed, withSignature } from '#core/signing.js';
import { seededRandom } from '#util/random.js';

/** An Ed25519 key from a seed that `name` gives. */
export function testKey(name: string): SigningKey {
  return signingKeyFromSeed(seededRandom(`key ${name}`).bytes(32));
}

/** `object` with a signature of `user` by `key`, under the id of its public key unless another is given. */
export function signedBy(
  key: SigningKey,
  user: string,
  object: JsonObject,
  id = `ed25519:${key.publicKey}`,
): JsonObject {
  return withSignature(object, user, id, key.sign(signedBytes(object)));
}

/** Identity keys of a device, signed with the key that its name gives, and a maker of one-time keys. */
export function testDevice(
  user: UserId,
  device: DeviceId,
  key = testKey(device),
): { readonly identity: JsonObject; readonly sign: (object: JsonObject) => JsonObject } {
  const sign = (object: JsonObject): JsonObject => signedBy(key, user, object, `ed25519:${device}`);
  const identity = sign({
    user_id: user,
    device_id: device,
    algorithms: ['m.olm.v1.curve25519-aes-sha2'],
    keys: { [`ed25519:${device}`]: key.publicKey, [`curve25519:${device}`]: key.publicKey },
  });
  return { identity, sign };
}

/** A user's cross-signing keys, made from `name`. */
export function testCrossSigning(user: UserId, name: string = user) {
  const [master, selfSigning, userSigning] = ['master', 'self', 'user'].map((role) => testKey(`${name} ${role}`)) as [
    SigningKey,
    SigningKey,
    SigningKey,
  ];
  const form = (usage: string, { publicKey }: SigningKey): JsonObject => ({
    user_id: user,
    usage: [usage],
    keys: { [`ed25519:${publicKey}`]: publicKey },
  });
  return {
    master,
    selfSigning,
    userSigning,
    upload: {
      master_key: form('master', master),
      self_signing_key: signedBy(master, user, form('self_signing', selfSigning)),
      user_signing_key: signedBy(master, user, form('user_signing', userSigning)),
    },
  };
}
