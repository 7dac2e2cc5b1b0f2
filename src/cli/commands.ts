import { check } from '#cli/check.js';
import type { Command } from '#cli/command.js';
import { configCheck } from '#cli/config-check.js';
import { configShow } from '#cli/config-show.js';
import { serve } from '#cli/serve.js';
import { tokenCreate } from '#cli/token-create.js';
import { tokenList } from '#cli/token-list.js';
import { tokenRevoke } from '#cli/token-revoke.js';
import { userCreate } from '#cli/user-create.js';
import { userDeactivate } from '#cli/user-deactivate.js';
import { userList } from '#cli/user-list.js';
import { userPassword } from '#cli/user-password.js';
import { version } from '#cli/version.js';

/** Every command, in the order in which `runnel help` lists them. */
export const COMMANDS: readonly Command[] = [
  serve,
  userCreate,
  userList,
  userPassword,
  userDeactivate,
  tokenCreate,
  tokenList,
  tokenRevoke,
  configShow,
  configCheck,
  check,
  version,
];
