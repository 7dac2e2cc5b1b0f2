//! A device: its session, its syncs, and what a person does with it.

use std::{
    collections::HashMap,
    error::Error,
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use matrix_sdk::{
    Client, Room, RoomMemberships, ThreadingSupport,
    authentication::matrix::MatrixSession,
    encryption::{BackupDownloadStrategy, EncryptionSettings},
    room::edit::EditedContent,
    ruma::{
        OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId,
        api::client::{
            receipt::create_receipt::v3::ReceiptType,
            room::create_room::v3::{Request as CreateRoom, RoomPreset},
        },
        events::{
            InitialStateEvent,
            room::{
                encryption::RoomEncryptionEventContent,
                message::{RoomMessageEventContent, RoomMessageEventContentWithoutRelation},
            },
        },
    },
    sliding_sync::VersionBuilder,
    store::RoomLoadSettings,
};
use matrix_sdk_ui::{
    eyeball_im::Vector,
    notification_client::{NotificationClient, NotificationProcessSetup, NotificationStatus},
    room_list_service::{RoomListItem, filters::new_filter_non_left},
    sync_service::SyncService,
    timeline::{
        LatestEventValue, RoomExt, Timeline, TimelineEventItemId, TimelineFocus, thread_list_service::ThreadListService,
    },
};
use serde_json::{Value, json};
use tokio::{sync::broadcast::error::RecvError, time::sleep};

use crate::line::{body, line};

pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SESSION_FILE: &str = "session.json";
const POLL: Duration = Duration::from_millis(50);
/// How long a send queue rests after an error.
const RESEND: Duration = Duration::from_millis(500);
/// Events that are asked for at once when scrolling back.
const HISTORY_PAGE: u16 = 50;
/// Rooms that the list shows.
const LIST_PAGE: usize = 100;

/// A timeline is a room's, or a thread's of a room.
type TimelineKey = (OwnedRoomId, Option<OwnedEventId>);

pub struct Device {
    client: Client,
    syncs: Arc<SyncService>,
    /// The room list as its stream describes it.
    rooms: Arc<Mutex<Vector<RoomListItem>>>,
    /// Who types, room by room.
    typing: Arc<Mutex<HashMap<OwnedRoomId, Vec<OwnedUserId>>>>,
    timelines: tokio::sync::Mutex<HashMap<TimelineKey, Timeline>>,
}

fn text<'a>(given: &'a Value, key: &str) -> Outcome<&'a str> {
    given[key].as_str().ok_or_else(|| format!("'{key}' is missing").into())
}

async fn client(url: &str, store: &Path) -> Outcome<Client> {
    Ok(Client::builder()
        .homeserver_url(url)
        .sqlite_store(store, None)
        .sliding_sync_version_builder(VersionBuilder::DiscoverNative)
        .with_threading_support(ThreadingSupport::Enabled {
            with_subscriptions: true,
        })
        .with_encryption_settings(EncryptionSettings {
            auto_enable_cross_signing: true,
            backup_download_strategy: BackupDownloadStrategy::AfterDecryptionFailure,
            auto_enable_backups: true,
        })
        .build()
        .await?)
}

impl Device {
    /// Logs in with a password on a new device, and keeps the session beside its store.
    pub async fn login(url: &str, store: &Path, given: &Value) -> Outcome<Self> {
        let client = client(url, store).await?;
        let auth = client.matrix_auth();
        auth.login_username(text(given, "user")?, text(given, "password")?)
            .initial_device_display_name("matrix-rust-sdk")
            .await?;
        let session = auth.session().ok_or("there is a session after the login")?;
        fs::write(store.join(SESSION_FILE), serde_json::to_vec(&session)?)?;
        Self::begin(client).await
    }

    /// Goes on with the session and all that was stored, without logging in.
    pub async fn resume(url: &str, store: &Path) -> Outcome<Self> {
        let client = client(url, store).await?;
        let session: MatrixSession = serde_json::from_slice(&fs::read(store.join(SESSION_FILE))?)?;
        client
            .matrix_auth()
            .restore_session(session, RoomLoadSettings::default())
            .await?;
        Self::begin(client).await
    }

    async fn begin(client: Client) -> Outcome<Self> {
        let syncs = Arc::new(SyncService::builder(client.clone()).with_offline_mode().build().await?);
        let rooms: Arc<Mutex<Vector<RoomListItem>>> = Default::default();
        let shown = rooms.clone();
        let list = syncs.room_list_service().all_rooms().await?;
        tokio::spawn(async move {
            let (changes, controller) = list.entries_with_dynamic_adapters(LIST_PAGE);
            controller.set_filter(Box::new(new_filter_non_left()));
            let mut changes = std::pin::pin!(changes);
            while let Some(diffs) = changes.next().await {
                let mut shown = shown.lock().expect("no thread panics with the list");
                for diff in diffs {
                    diff.apply(&mut shown);
                }
            }
        });
        // A room's send queue stops at a network error; the app lets it go on after a while.
        let mut errors = client.send_queue().subscribe_errors();
        let sender = client.clone();
        tokio::spawn(async move {
            while !matches!(errors.recv().await, Err(RecvError::Closed)) {
                sleep(RESEND).await;
                sender.send_queue().set_enabled(true).await;
            }
        });
        client.send_queue().set_enabled(true).await;
        syncs.start().await;
        Ok(Self {
            client,
            syncs,
            rooms,
            typing: Default::default(),
            timelines: Default::default(),
        })
    }

    pub fn who(&self) -> Value {
        json!({ "user": self.client.user_id(), "device": self.client.device_id() })
    }

    /// Does what a line asks for.
    pub async fn run(&self, name: &str, given: &Value) -> Outcome<Value> {
        match name {
            "sync_state" => Ok(json!(format!("{:?}", self.syncs.state().get()))),
            "rooms" => self.room_list().await,
            "create_room" => self.create_room(given).await,
            "join" => {
                self.client
                    .join_room_by_id(&RoomId::parse(text(given, "room")?)?)
                    .await?;
                Ok(Value::Null)
            }
            "leave" => {
                self.room(given)?.leave().await?;
                Ok(Value::Null)
            }
            "invite" => {
                self.room(given)?
                    .invite_user_by_id(&UserId::parse(text(given, "user")?)?)
                    .await?;
                Ok(Value::Null)
            }
            "members" => {
                let members = self.room(given)?.members_no_sync(RoomMemberships::JOIN).await?;
                Ok(json!(members.iter().map(|member| member.user_id()).collect::<Vec<_>>()))
            }
            "lines" => Ok(json!(self.lines(given).await?)),
            "history" => Ok(json!(self.history(given).await?)),
            "say" | "reply" | "edit" => self.write(name, given).await,
            "react" => Ok(json!(
                self.open(given)
                    .await?
                    .toggle_reaction(&event(given)?, text(given, "key")?)
                    .await?
            )),
            "redact" => {
                self.open(given).await?.redact(&event(given)?, None).await?;
                Ok(Value::Null)
            }
            "read" => Ok(json!(self.open(given).await?.mark_as_read(ReceiptType::Read).await?)),
            "type" => {
                self.room(given)?
                    .typing_notice(given["typing"].as_bool().unwrap_or(true))
                    .await?;
                Ok(Value::Null)
            }
            "typing" => {
                let typing = self.typing.lock().expect("no thread panics with it");
                Ok(json!(
                    typing.get(self.room(given)?.room_id()).cloned().unwrap_or_default()
                ))
            }
            "threads" => self.threads(given).await,
            "notification" => self.notification(given).await,
            "search_users" => {
                let found = self.client.search_users(text(given, "term")?, 10).await?;
                Ok(json!(
                    found.results.iter().map(|user| &user.user_id).collect::<Vec<_>>()
                ))
            }
            "enable_recovery" => {
                let encryption = self.client.encryption();
                encryption.wait_for_e2ee_initialization_tasks().await;
                Ok(json!(
                    encryption.recovery().enable().wait_for_backups_to_upload().await?
                ))
            }
            "recover" => {
                self.client.encryption().recovery().recover(text(given, "key")?).await?;
                Ok(Value::Null)
            }
            "verification" => Ok(json!(format!(
                "{:?}",
                self.client.encryption().verification_state().get()
            ))),
            _ => Err("there is no such thing to do".into()),
        }
    }

    fn room(&self, given: &Value) -> Outcome<Room> {
        let id = RoomId::parse(text(given, "room")?)?;
        self.client
            .get_room(&id)
            .ok_or_else(|| format!("the device does not know {id}").into())
    }

    async fn create_room(&self, given: &Value) -> Outcome<Value> {
        let mut request = CreateRoom::new();
        request.name = given["name"].as_str().map(str::to_owned);
        request.preset = Some(RoomPreset::PrivateChat);
        for invited in given["invite"].as_array().into_iter().flatten() {
            request
                .invite
                .push(UserId::parse(invited.as_str().ok_or("users are strings")?)?);
        }
        if given["encrypted"] == true {
            let content = RoomEncryptionEventContent::with_recommended_defaults();
            request.initial_state = vec![InitialStateEvent::with_empty_state_key(content).to_raw_any()];
        }
        Ok(json!(self.client.create_room(request).await?.room_id()))
    }

    /// The rooms in the order in which a person sees them.
    async fn room_list(&self) -> Outcome<Value> {
        let shown = self.rooms.lock().expect("no thread panics with the list").clone();
        let mut listed = Vec::new();
        for item in shown {
            let room: Room = item.into_inner();
            let latest = match room.latest_event().await {
                LatestEventValue::Remote { content, .. } | LatestEventValue::Local { content, .. } => body(&content),
                _ => None,
            };
            listed.push(json!({
                "room": room.room_id(),
                "name": room.cached_display_name().map(|name| name.to_string()),
                "membership": format!("{:?}", room.state()),
                "encrypted": room.encryption_state().is_encrypted(),
                "unread": room.num_unread_messages(),
                "notifications": room.num_unread_notifications(),
                "latest": latest,
            }));
        }
        Ok(json!(listed))
    }

    /// The timeline of a room, or of the thread whose root `given` names, as a person has it who opens it now. Timelines of
    /// this SDK that were open while much came at once can lack a line, or show it in another's place; one that is made anew
    /// shows what the SDK has.
    async fn open(&self, given: &Value) -> Outcome<Timeline> {
        self.keep_open(given).await?;
        self.new_timeline(given).await
    }

    /// Keeps a timeline open from the first time that it is asked for, and subscribes to its room, as an app does when a
    /// person opens it.
    async fn keep_open(&self, given: &Value) -> Outcome<()> {
        let room = self.room(given)?;
        let thread = given["thread"].as_str().map(OwnedEventId::try_from).transpose()?;
        let mut timelines = self.timelines.lock().await;
        let key = (room.room_id().to_owned(), thread);
        if !timelines.contains_key(&key) {
            let list = self.syncs.room_list_service();
            list.subscribe_to_rooms(&[room.room_id()]).await;
            self.watch_typing(&room);
            timelines.insert(key, self.new_timeline(given).await?);
        }
        Ok(())
    }

    fn watch_typing(&self, room: &Room) {
        let (guard, mut who) = room.subscribe_to_typing_notifications();
        let (typing, id) = (self.typing.clone(), room.room_id().to_owned());
        tokio::spawn(async move {
            let _guard = guard;
            while let Ok(users) = who.recv().await {
                typing
                    .lock()
                    .expect("no thread panics with it")
                    .insert(id.clone(), users);
            }
        });
    }

    async fn lines(&self, given: &Value) -> Outcome<Vec<Value>> {
        Ok(shown(&self.open(given).await?).await)
    }

    /// The same, scrolled back to the beginning.
    async fn history(&self, given: &Value) -> Outcome<Vec<Value>> {
        let timeline = self.open(given).await?;
        while !timeline.paginate_backwards(HISTORY_PAGE).await? {}
        Ok(shown(&timeline).await)
    }

    async fn new_timeline(&self, given: &Value) -> Outcome<Timeline> {
        let focus = match given["thread"].as_str() {
            Some(root) => TimelineFocus::Thread {
                root_event_id: root.try_into()?,
            },
            None => TimelineFocus::Live {
                hide_threaded_events: true,
            },
        };
        Ok(self.room(given)?.timeline_builder().with_focus(focus).build().await?)
    }

    /// Sends a message and waits until the server has acknowledged it, however often the send queue has to send it.
    async fn write(&self, how: &str, given: &Value) -> Outcome<Value> {
        let timeline = self.open(given).await?;
        let body = text(given, "body")?;
        let content = RoomMessageEventContentWithoutRelation::text_plain(body);
        match how {
            "reply" => timeline.send_reply(content, text(given, "event")?.try_into()?).await?,
            "edit" => {
                timeline
                    .edit(&event(given)?, EditedContent::RoomMessage(content))
                    .await?
            }
            _ => {
                timeline.send(RoomMessageEventContent::text_plain(body).into()).await?;
            }
        }
        loop {
            let sent = self
                .lines(given)
                .await?
                .into_iter()
                .rev()
                .find(|line| line["body"] == body);
            if let Some(id) = sent.map(|line| line["id"].clone()).filter(Value::is_string) {
                return Ok(id);
            }
            sleep(POLL).await;
        }
    }

    async fn threads(&self, given: &Value) -> Outcome<Value> {
        let threads = ThreadListService::new(self.room(given)?);
        threads.paginate().await?;
        Ok(json!(
            threads
                .items()
                .iter()
                .map(|thread| json!({
                    "root": thread.root_event.event_id,
                    "replies": thread.num_replies,
                    "latest": thread.latest_event.as_ref().and_then(|event| event.content.as_ref()).and_then(body),
                }))
                .collect::<Vec<_>>()
        ))
    }

    /// What a push of an event would show.
    async fn notification(&self, given: &Value) -> Outcome<Value> {
        let setup = NotificationProcessSetup::SingleProcess {
            sync_service: self.syncs.clone(),
        };
        let client = NotificationClient::new(self.client.clone(), setup).await?;
        let room = RoomId::parse(text(given, "room")?)?;
        let event: OwnedEventId = text(given, "event")?.try_into()?;
        Ok(match client.get_notification(&room, &event).await? {
            NotificationStatus::Event(item) => json!({
                "room": item.room_computed_display_name,
                "sender": item.event.sender(),
                "noisy": item.is_noisy,
            }),
            other => json!(format!("{other:?}")),
        })
    }
}

async fn shown(timeline: &Timeline) -> Vec<Value> {
    timeline
        .items()
        .await
        .iter()
        .filter_map(|item| item.as_event().and_then(line))
        .collect()
}

fn event(given: &Value) -> Outcome<TimelineEventItemId> {
    Ok(TimelineEventItemId::EventId(text(given, "event")?.try_into()?))
}
