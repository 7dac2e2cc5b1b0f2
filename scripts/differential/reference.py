"""The reference that Runnel's core is held against: Synapse's own functions, asked over a pipe.

Reads one request a line, JSON with "kind" and what the kind needs, and answers each with one line:
{"answers": [text, ...], "notes": [text, ...]}. Run by `npm run differential`; see docs/differential.md.
"""

import base64
import hashlib
import json
import logging
import sys

from canonicaljson import encode_canonical_json
from signedjson.key import decode_signing_key_base64, decode_verify_key_bytes
from signedjson.sign import SignatureVerifyException, sign_json, verify_signed_json
from unpaddedbase64 import decode_base64, encode_base64

from synapse import event_auth
from synapse.api.room_versions import KNOWN_ROOM_VERSIONS, StateResolutionVersions
from synapse.crypto.event_signing import (
    compute_content_hash,
    compute_event_reference_hash,
    compute_event_signature,
)
from synapse.events import make_event_from_dict, make_event_from_json
from synapse.events.utils import validate_canonicaljson
from synapse.state import v1 as state_v1
from synapse.state import v2 as state_v2
from synapse.storage.databases.main.event_federation import StateDifference
from synapse.synapse_rust.events import redact_event_dict
from synapse.util.json import json_decoder

logging.disable(logging.CRITICAL)


def run(coroutine):
    """The result of a coroutine that never really waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the reference wanted to wait")


def failure(error):
    return "%s: %s" % (type(error).__name__, str(error)[:200])


def canonical(request):
    return [encode_canonical_json(request["value"]).decode("utf-8")], [""]


def parse(request):
    data = base64.b64decode(request["bytes"])
    try:
        value = json_decoder.decode(data.decode("utf-8"))
        if request["strict"]:
            validate_canonicaljson(value)
        return [encode_canonical_json(value).decode("utf-8")], [""]
    except Exception as error:
        return ["reject"], [failure(error)]


def hashes(request):
    name, digest = compute_content_hash(request["event"], hashlib.sha256)
    return [encode_base64(digest)], [""]


def ids(request):
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    try:
        event = make_event_from_dict(request["event"], version)
        _, digest = compute_event_reference_hash(event)
        return ["%s %s" % (event.event_id, encode_base64(digest))], [""]
    except Exception as error:
        return ["no event"], [failure(error)]


def redaction(request):
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    redacted = redact_event_dict(version, request["event"])
    redacted.pop("unsigned", None)
    return [encode_canonical_json(redacted).decode("utf-8")], [""]


def signing(request):
    answers = []
    notes = []
    key = decode_signing_key_base64("ed25519", request["keyVersion"], request["seed"])
    signed = sign_json(request["object"], request["name"], key)
    answers.append(encode_canonical_json(signed).decode("utf-8"))
    notes.append("")
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    signatures = compute_event_signature(version, request["event"], request["name"], key)
    answers.append(signatures[request["name"]]["ed25519:" + request["keyVersion"]])
    notes.append("")
    for check in request["checks"]:
        try:
            verify_key = decode_verify_key_bytes(check["keyId"], decode_base64(check["publicKey"]))
            verify_signed_json(check["object"], check["name"], verify_key)
            answers.append("valid")
            notes.append("")
        except Exception as error:
            answers.append("invalid")
            notes.append(failure(error))
    return answers, notes


class Events:
    """The events of one room, in the part of Synapse's store that its rules and state resolution ask."""

    def __init__(self):
        self.events = {}
        self.chains = {}

    def add(self, event):
        self.events[event.event_id] = event

    async def get_events(self, event_ids, redact_behaviour=None, get_prev_content=False, allow_rejected=False):
        found = {}
        for event_id in event_ids:
            event = self.events.get(event_id)
            if event is not None and (allow_rejected or event.rejected_reason is None):
                found[event_id] = event
        return found

    async def get_events_unless_rejected(self, event_ids):
        return await self.get_events(event_ids)

    def chain(self, event_id):
        """The event and everything that it rests on."""
        chain = self.chains.get(event_id)
        if chain is None:
            reached = {event_id}
            for auth_id in self.events[event_id].auth_event_ids():
                reached |= self.chain(auth_id)
            chain = self.chains[event_id] = frozenset(reached)
        return chain

    async def get_auth_chain_difference(
        self, room_id, state_sets, conflicted_state, additional_backwards_reachable_conflicted_events
    ):
        reaches = [frozenset().union(*(self.chain(event_id) for event_id in ids)) for ids in state_sets]
        difference = frozenset().union(*reaches) - frozenset.intersection(*reaches)
        subgraph = None
        if conflicted_state is not None:
            below = frozenset().union(*(self.chain(event_id) for event_id in conflicted_state))
            subgraph = {event_id for event_id in below if not self.chain(event_id).isdisjoint(conflicted_state)}
        return StateDifference(auth_difference=set(difference), conflicted_subgraph=subgraph)


class Clock:
    async def sleep(self, duration):
        pass


def resolve(version, room_id, states, store):
    if version.state_res == StateResolutionVersions.V1:
        return run(
            state_v1.resolve_events_with_store(room_id, version, states, None, store.get_events_unless_rejected)
        )
    return run(state_v2.resolve_events_with_store(Clock(), room_id, version, states, None, store))


def needed_keys(version, event):
    keys = event_auth.auth_types_for_event(version, event)
    if version.msc4291_room_ids_as_hashes:
        # The events of these versions name their create event by the room id.
        keys = keys - {("m.room.create", "")}
    return " ".join(sorted(json.dumps([kind, key], ensure_ascii=False) for kind, key in keys))


def auth(request):
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    state = [make_event_from_json(text, version) for text in request["state"]]
    store = Events()
    for event in state:
        store.add(event)
    for text in request["others"]:
        store.add(make_event_from_json(text, version, rejected_reason="rejected"))
    for text in request["foreign"]:
        store.add(make_event_from_json(text, version))
    answers = []
    notes = []
    for text in request["events"]:
        try:
            event = make_event_from_json(text, version)
        except Exception as error:
            answers += ["no event"] * 3
            notes += [failure(error)] * 3
            continue
        checks = [
            lambda: event_auth.check_state_dependent_auth_rules(event, state),
            lambda: run(event_auth.check_state_independent_auth_rules(store, event)),
        ]
        if event.type == "m.room.create":
            # Synapse keeps the rules about create events, which look at no state, among the independent ones.
            checks.reverse()
        for check in checks:
            try:
                check()
                answers.append("allow")
                notes.append("")
            except Exception as error:
                answers.append("deny")
                notes.append(failure(error))
        try:
            answers.append(needed_keys(version, event))
            notes.append("")
        except Exception as error:
            answers.append("none")
            notes.append(failure(error))
    return answers, notes


def state_lines(state):
    return sorted("%s\x00%s\x00%s" % (key[0], key[1], event_id) for key, event_id in state.items())


def state(request):
    """Replays a whole room: resolves, authorises and applies each event, as a server does on receipt."""
    version = KNOWN_ROOM_VERSIONS[request["version"]]
    store = Events()
    after = {}
    answers = []
    notes = []
    room_id = None
    for text in request["events"]:
        event = make_event_from_json(text, version)
        if room_id is None:
            room_id = event.room_id
        store.add(event)
        states = [after[event_id] for event_id in event.prev_event_ids()]
        before = {}
        if len(states) == 1:
            before = states[0]
        elif states:
            before = dict(resolve(version, room_id, states, store))
        note = ""
        try:
            run(event_auth.check_state_independent_auth_rules(store, event))
            auth_events = [store.events[event_id] for event_id in event.auth_event_ids()]
            event_auth.check_state_dependent_auth_rules(event, auth_events)
            keys = event_auth.auth_types_for_event(version, event)
            event_auth.check_state_dependent_auth_rules(
                event, [store.events[before[key]] for key in keys if key in before]
            )
        except Exception as error:
            note = failure(error)
        verdict = "allow"
        if note:
            verdict = "deny"
            store.add(make_event_from_json(text, version, rejected_reason="rejected"))
        elif event.is_state():
            before = {**before, (event.type, event.state_key): event.event_id}
        after[event.event_id] = before
        lines = state_lines(before)
        if not request.get("detail"):
            lines = [hashlib.sha256("\n".join(lines).encode("utf-8")).hexdigest()]
        answers.append("%s\n%s" % (verdict, "\n".join(lines)))
        notes.append(note)
    return answers, notes


KINDS = {
    "canonical": canonical,
    "parse": parse,
    "hashes": hashes,
    "ids": ids,
    "redaction": redaction,
    "signing": signing,
    "auth": auth,
    "state": state,
}


def main():
    # Without the default of some thousand digits, reading our own requests would fail where a test of Synapse should.
    from importlib.metadata import version

    print(json.dumps({"synapse": version("matrix-synapse"), "python": sys.version.split()[0]}), flush=True)
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            answers, notes = KINDS[request["kind"]](request)
        except Exception as error:
            answers, notes = [], [failure(error)]
        # A batch is flushed by the buffer filling up and by the runner's empty request at its end.
        sys.stdout.write(json.dumps({"answers": answers, "notes": notes}) + "\n")
        if request.get("last"):
            sys.stdout.flush()


main()
