"""One device of one user on matrix-nio, driven by lines of JSON on its standard input.

Each line is {"id": n, "do": name, ...}; each answer {"id": n, "result": …} or {"id": n, "error": text}. Usage:
nio_party.py URL USER_ID PASSWORD STORE_DIRECTORY
"""

import asyncio
import json
import sys

from nio import (
    AsyncClient,
    AsyncClientConfig,
    KeyVerificationEvent,
    KeyVerificationKey,
    KeyVerificationStart,
    LoginResponse,
    MegolmEvent,
    RoomMessageText,
    RoomSendResponse,
)


class Party:
    def __init__(self, url, user, password, store):
        # Encrypted events are kept as they come, so that a key that comes later still counts.
        config = AsyncClientConfig(encryption_enabled=True, store_sync_tokens=True)
        self.client = AsyncClient(url, user, store_path=store, config=config)
        self.password = password
        self.events = {}
        self.emoji = {}
        self.client.add_event_callback(self.keep, (RoomMessageText, MegolmEvent))
        self.client.add_to_device_callback(self.verification, KeyVerificationEvent)

    async def keep(self, room, event):
        self.events.setdefault(room.room_id, {})[event.event_id] = event

    async def verification(self, event):
        # All the other messages the client sends by itself.
        if isinstance(event, KeyVerificationStart):
            await self.client.accept_key_verification(event.transaction_id)
        elif isinstance(event, KeyVerificationKey):
            sas = self.client.key_verifications[event.transaction_id]
            self.emoji[sas.other_olm_device.user_id] = [event.transaction_id, [name for _, name in sas.get_emoji()]]

    async def key_count(self):
        # As the server counts them: the client's own figure may be older than the last claims.
        headers = {"Authorization": f"Bearer {self.client.access_token}"}
        answer = await self.client.send("POST", "/_matrix/client/v3/keys/upload", "{}", headers)
        return (await answer.json())["one_time_key_counts"].get("signed_curve25519", 0)

    async def login(self):
        answer = await self.client.login(self.password, device_name="nio")
        if not isinstance(answer, LoginResponse):
            raise RuntimeError(str(answer))
        self.syncing = asyncio.create_task(self.client.sync_forever(timeout=5000, full_state=True))
        await self.client.synced.wait()
        return {"device": self.client.device_id, "curve25519": self.client.olm.account.identity_keys["curve25519"]}

    async def join(self, room):
        await self.client.join(room)
        while room not in self.client.rooms or not self.client.rooms[room].encrypted:
            await asyncio.sleep(0.05)

    async def members(self, room):
        known = self.client.rooms.get(room)
        return sorted(known.users) if known else []

    async def say(self, room, body):
        content = {"msgtype": "m.text", "body": body}
        answer = await self.client.room_send(room, "m.room.message", content, ignore_unverified_devices=True)
        if not isinstance(answer, RoomSendResponse):
            raise RuntimeError(str(answer))
        return answer.event_id

    async def read(self, room):
        lines = []
        for event_id, event in self.events.get(room, {}).items():
            if isinstance(event, MegolmEvent):
                try:
                    event = self.client.decrypt_event(event)
                except Exception:
                    pass
            lines.append([event_id, getattr(event, "body", None)])
        return lines

    async def begin_verification(self, user, device):
        await self.client.start_key_verification(self.client.device_store[user][device])

    async def shown_emoji(self, user):
        return self.emoji.get(user, [None, None])[1]

    async def confirm(self, user):
        await self.client.confirm_short_auth_string(self.emoji[user][0])

    async def is_verified(self, user):
        return all(device.verified for device in self.client.device_store.active_user_devices(user))

    async def keys_of(self, user):
        if user in self.client.users_for_key_query:
            await self.client.keys_query()
        return [device.id for device in self.client.device_store.active_user_devices(user)]


async def main():
    party = Party(*sys.argv[1:5])
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)

    async def answer(request):
        number, name = request.pop("id"), request.pop("do")
        try:
            outcome = {"id": number, "result": await getattr(party, name)(**request)}
        except Exception as error:
            outcome = {"id": number, "error": f"{name}: {error!r}"}
        print(json.dumps(outcome), flush=True)

    running = set()
    while line := await lines.readline():
        task = asyncio.create_task(answer(json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
    await party.client.close()


asyncio.run(main())
