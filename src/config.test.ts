import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError, type ConfigInput, loadConfig } from '#config';

function load(input: Partial<ConfigInput> & { files?: Record<string, string> }) {
  const readFile = (path: string): string => {
    const found = input.files?.[path];
    if (found === undefined) throw new Error(`no file ${path}`);
    return found;
  };
  return loadConfig({ flags: input.flags ?? {}, env: input.env ?? {}, readFile });
}

function problems(input: Parameters<typeof load>[0]): readonly string[] {
  try {
    load(input);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return assert.fail('was accepted');
}

test('without any input the documented defaults hold', () => {
  const { config } = load({});
  assert.equal(config.serverName, 'localhost');
  assert.deepEqual(config.listen, [{ host: '127.0.0.1', port: 8008 }]);
  assert.equal(config.data, './data');
  assert.equal(config.registration, 'token');
  assert.equal(config.rateLimits, true);
  assert.equal(config.registrationSharedSecret, undefined);
});

test('flags come before the environment, which comes before the file', () => {
  const files = { 'r.toml': 'server_name = "file.example"\ndata = "file"\nregistration = "open"' };
  const { config, settings } = load({
    files,
    flags: { config: 'r.toml', 'server-name': 'flag.example' },
    env: { RUNNEL_SERVER_NAME: 'env.example', RUNNEL_DATA: 'env' },
  });
  assert.equal(config.serverName, 'flag.example');
  assert.equal(config.data, 'env');
  assert.equal(config.registration, 'open');
  assert.deepEqual(
    ['server_name', 'data', 'registration', 'log'].map((name) => settings.find((s) => s.name === name)?.source),
    ['--server-name', 'RUNNEL_DATA', 'file', 'default'],
  );
});

test('RUNNEL_CONFIG names the file, and --config comes before it', () => {
  const files = { a: 'data = "a"', b: 'data = "b"' };
  assert.equal(load({ files, env: { RUNNEL_CONFIG: 'a' } }).config.data, 'a');
  assert.equal(load({ files, env: { RUNNEL_CONFIG: 'a' }, flags: { config: 'b' } }).config.data, 'b');
});

test('listen takes several addresses, IPv6 among them, from text and from a TOML list', () => {
  const wanted = [
    { host: '127.0.0.1', port: 8008 },
    { host: '::1', port: 0 },
  ];
  assert.deepEqual(load({ env: { RUNNEL_LISTEN: '127.0.0.1:8008, [::1]:0' } }).config.listen, wanted);
  const files = { f: 'listen = ["127.0.0.1:8008", "[::1]:0"]' };
  assert.deepEqual(load({ files, flags: { config: 'f' } }).config.listen, wanted);
});

test('networks are addresses of either family, with as many bits as fit', () => {
  const given = ['10.0.0.0/8', '192.0.2.1', '::1', '2001:db8::/128', '::ffff:10.0.0.1'];
  assert.deepEqual(load({ env: { RUNNEL_TRUSTED_PROXIES: given.join(', ') } }).config.trustedProxies, given);
  for (const wrong of ['10.0.0/8', '10.0.0.0/33', '::1/129', '::g', '1::2::3', '::1/8/8', 'localhost']) {
    const [problem] = problems({ env: { RUNNEL_TRUSTED_PROXIES: wrong } });
    assert.ok(problem?.includes(`'${wrong}' is no address and no network`), problem);
  }
});

test('an unknown name is refused with the nearest known one, wherever it stands', () => {
  assert.match(problems({ env: { RUNNEL_SERVERNAME: 'x' } })[0]!, /RUNNEL_SERVERNAME.*'RUNNEL_SERVER_NAME'/);
  assert.match(
    problems({ files: { f: 'regstration = "open"' }, flags: { config: 'f' } })[0]!,
    /did you mean 'registration'/,
  );
  assert.match(problems({ flags: { lsten: 'x' } })[0]!, /'--lsten'; did you mean '--listen'/);
  for (const key of ['__proto__', 'constructor', 'toString']) {
    assert.match(problems({ files: { f: `"${key}" = 1` }, flags: { config: 'f' } })[0]!, /unknown key/);
  }
});

test('values that do not fit are all named at once', () => {
  const found = problems({
    env: {
      RUNNEL_LISTEN: '127.0.0.1:99999',
      RUNNEL_REGISTRATION: 'maybe',
      RUNNEL_SERVER_NAME: 'not a name',
      RUNNEL_RATE_LIMITS: 'sometimes',
      RUNNEL_PUBLIC_URL: 'javascript:alert(1)',
      RUNNEL_TRUSTED_PROXIES: '10.0.0.0/40',
    },
  });
  assert.equal(found.length, 6, found.join('\n'));
  assert.match(problems({ env: { RUNNEL_LISTEN: ' , ' } })[0]!, /listen: is empty/);
});

test('a secret is read from a file, and no problem ever quotes it', () => {
  const files = {
    s: 'hunter2\n',
    f: 'registration_shared_secret_file = "s"',
    broken: 'registration_shared_secret = "hunter2',
  };
  assert.equal(load({ files, flags: { config: 'f' } }).config.registrationSharedSecret, 'hunter2');
  const flags = { 'registration-shared-secret-file': 's' };
  assert.equal(load({ files, flags }).config.registrationSharedSecret, 'hunter2');
  const both = { RUNNEL_REGISTRATION_SHARED_SECRET: 'hunter2', RUNNEL_REGISTRATION_SHARED_SECRET_FILE: 's' };
  for (const found of [problems({ files, env: both }), problems({ files, flags: { config: 'broken' } })]) {
    assert.doesNotMatch(found.join('\n'), /hunter2/);
  }
});

test('a secret is not taken from a flag, where other users of the machine would see it', () => {
  assert.match(
    problems({ flags: { 'registration-shared-secret': 'x' } })[0]!,
    /did you mean '--registration-shared-secret-file'/,
  );
});

test('an empty variable counts as not set, and what Kubernetes adds beside a service "runnel" is no mistake', () => {
  assert.equal(load({ env: { RUNNEL_DATA: '' } }).config.data, './data');
  const added = {
    RUNNEL_SERVICE_HOST: '10.0.0.1',
    RUNNEL_PORT: 'tcp://10.0.0.1:80',
    RUNNEL_PORT_80_TCP_ADDR: '10.0.0.1',
  };
  load({ env: { ...added, KUBERNETES_SERVICE_HOST: '10.0.0.1' } });
  assert.equal(problems({ env: added }).length, 3);
});

test('sizes, days and hosts are read with their units', () => {
  const { config } = load({
    env: {
      RUNNEL_MAX_UPLOAD_SIZE: '100m',
      RUNNEL_MEDIA_QUOTA: '2G',
      RUNNEL_MEDIA_LIFETIME: '90d',
      RUNNEL_URL_PREVIEW_DENY: 'Internal.example, *.corp.example',
    },
  });
  assert.equal(config.maxUploadSize, 100 * 2 ** 20);
  assert.equal(config.mediaQuota, 2 ** 31);
  assert.equal(config.mediaLifetime, 90 * 86_400_000);
  assert.deepEqual(config.urlPreviewDeny, ['internal.example', '*.corp.example']);
  for (const [name, values] of Object.entries({
    RUNNEL_MAX_UPLOAD_SIZE: ['0', '50 M', '-1', '1P', '999999999999T', 'M'],
    RUNNEL_MEDIA_LIFETIME: ['90', '0d', '1w', '-1d'],
    RUNNEL_URL_PREVIEW_DENY: ['http://a.example', 'a.*.example', '*'],
  })) {
    for (const value of values) assert.equal(problems({ env: { [name]: value } }).length, 1, `${name}=${value}`);
  }
});
