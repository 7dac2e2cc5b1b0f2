import { UserId } from '#core/ids.js';
import type { JsonObject } from '#core/json-value.js';
import type { Action, PushRule, Ruleset } from '#core/push-rules/model.js';

/** The one predefined rule that comes before the user's own. */
export const MASTER_RULE = '.m.rule.master';

const SOUND: Action = { set_tweak: 'sound', value: 'default' };
const RING: Action = { set_tweak: 'sound', value: 'ring' };
const HIGHLIGHT: Action = { set_tweak: 'highlight' };

const eventMatch = (key: string, pattern: string): JsonObject => ({ kind: 'event_match', key, pattern });
const TWO_MEMBERS: JsonObject = { kind: 'room_member_count', is: '2' };

/**
 * Rules that look for mentions in the text: what m.mentions says goes before them, so they are for events without it, from
 * clients, bots and bridges that don't know it.
 */
export const MENTIONS_BY_NAME: ReadonlySet<string> = new Set([
  '.m.rule.contains_display_name',
  '.m.rule.roomnotif',
  '.m.rule.contains_user_name',
]);

/** Rules of MSC3930. */
const POLLS = '.org.matrix.msc3930.rule.';
const POLL_START = eventMatch('type', 'org.matrix.msc3381.poll.start');
const POLL_END = eventMatch('type', 'org.matrix.msc3381.poll.end');
/** Rules of MSC4306. */
const THREADS = '.io.element.msc4306.rule.';
const threadSubscription = (subscribed: boolean): JsonObject => ({
  kind: 'io.element.msc4306.thread_subscription',
  subscribed,
});

function predefined(ruleId: string, conditions: readonly JsonObject[], actions: readonly Action[]): PushRule {
  return { rule_id: ruleId, default: true, enabled: true, conditions, actions };
}

/**
 * The predefined rules for a user in the order of the specification (client-server API, Predefined Rules, version
 * 1.19), and those for mentions by name as they were before 1.17 (docs/decisions/0006). A rule that a later version or a proposal adds is one more entry here: accounts that are there already get it
 * when their stored rules are merged.
 */
export function defaultRuleset(user: UserId): Ruleset {
  return {
    override: [
      { ...predefined(MASTER_RULE, [], []), enabled: false },
      // MSC4028, for clients that turn it on: every encrypted event is pushed, whatever rooms are set to.
      {
        ...predefined(
          '.org.matrix.msc4028.encrypted_event',
          [eventMatch('type', 'm.room.encrypted')],
          ['notify', { set_tweak: 'org.matrix.msc4062.dont_email' }],
        ),
        enabled: false,
      },
      predefined('.m.rule.suppress_notices', [eventMatch('content.msgtype', 'm.notice')], []),
      predefined(
        '.m.rule.invite_for_me',
        [
          eventMatch('type', 'm.room.member'),
          eventMatch('content.membership', 'invite'),
          eventMatch('state_key', user),
        ],
        ['notify', SOUND],
      ),
      predefined('.m.rule.member_event', [eventMatch('type', 'm.room.member')], []),
      predefined(
        '.m.rule.is_user_mention',
        [{ kind: 'event_property_contains', key: 'content.m\\.mentions.user_ids', value: user }],
        ['notify', SOUND, HIGHLIGHT],
      ),
      predefined('.m.rule.contains_display_name', [{ kind: 'contains_display_name' }], ['notify', SOUND, HIGHLIGHT]),
      predefined(
        '.m.rule.is_room_mention',
        [
          { kind: 'event_property_is', key: 'content.m\\.mentions.room', value: true },
          { kind: 'sender_notification_permission', key: 'room' },
        ],
        ['notify', HIGHLIGHT],
      ),
      predefined(
        '.m.rule.roomnotif',
        [eventMatch('content.body', '@room'), { kind: 'sender_notification_permission', key: 'room' }],
        ['notify', HIGHLIGHT],
      ),
      predefined(
        '.m.rule.tombstone',
        [eventMatch('type', 'm.room.tombstone'), eventMatch('state_key', '')],
        ['notify', HIGHLIGHT],
      ),
      predefined('.m.rule.reaction', [eventMatch('type', 'm.reaction')], []),
      predefined('.m.rule.room.server_acl', [eventMatch('type', 'm.room.server_acl'), eventMatch('state_key', '')], []),
      predefined(
        '.m.rule.suppress_edits',
        [{ kind: 'event_property_is', key: 'content.m\\.relates_to.rel_type', value: 'm.replace' }],
        [],
      ),
      predefined(`${POLLS}poll_response`, [eventMatch('type', 'org.matrix.msc3381.poll.response')], []),
    ],
    content: [
      {
        rule_id: '.m.rule.contains_user_name',
        default: true,
        enabled: true,
        pattern: UserId.localpart(user),
        actions: ['notify', SOUND, HIGHLIGHT],
      },
    ],
    postcontent: [
      predefined(`${THREADS}unsubscribed_thread`, [threadSubscription(false)], []),
      predefined(`${THREADS}subscribed_thread`, [threadSubscription(true)], ['notify', SOUND]),
    ],
    room: [],
    sender: [],
    underride: [
      predefined('.m.rule.call', [eventMatch('type', 'm.call.invite')], ['notify', RING]),
      predefined(
        '.m.rule.encrypted_room_one_to_one',
        [TWO_MEMBERS, eventMatch('type', 'm.room.encrypted')],
        ['notify', SOUND],
      ),
      predefined('.m.rule.room_one_to_one', [TWO_MEMBERS, eventMatch('type', 'm.room.message')], ['notify', SOUND]),
      predefined('.m.rule.message', [eventMatch('type', 'm.room.message')], ['notify']),
      predefined('.m.rule.encrypted', [eventMatch('type', 'm.room.encrypted')], ['notify']),
      predefined(`${POLLS}poll_start_one_to_one`, [TWO_MEMBERS, POLL_START], ['notify', SOUND]),
      predefined(`${POLLS}poll_start`, [POLL_START], ['notify']),
      predefined(`${POLLS}poll_end_one_to_one`, [TWO_MEMBERS, POLL_END], ['notify', SOUND]),
      predefined(`${POLLS}poll_end`, [POLL_END], ['notify']),
    ],
  };
}
