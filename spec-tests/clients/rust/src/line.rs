//! Messages as their reader sees them.

use std::collections::BTreeMap;

use matrix_sdk::ruma::OwnedUserId;
use matrix_sdk_ui::timeline::{EventTimelineItem, ReactionStatus, TimelineDetails, TimelineItemContent};
use serde_json::{Value, json};

/// A message of a timeline, or nothing where the item is none. `body` is null for what is redacted or can't be decrypted,
/// which `kind` tells apart. `id` is null as long as the server has not acknowledged it;
/// reactions that it has not are left out.
pub fn line(item: &EventTimelineItem) -> Option<Value> {
    let content = item.content();
    let message = content.as_msglike()?;
    let kind = if content.is_unable_to_decrypt() {
        "undecryptable"
    } else if content.is_redacted() {
        "redacted"
    } else {
        "message"
    };
    let mut reactions: BTreeMap<&String, Vec<&OwnedUserId>> = BTreeMap::new();
    for (key, senders) in content.reactions().into_iter().flat_map(|reactions| reactions.iter()) {
        for (sender, reaction) in senders {
            if matches!(reaction.status, ReactionStatus::RemoteToRemote(_)) {
                reactions.entry(key).or_default().push(sender);
            }
        }
    }
    Some(json!({
        "id": item.event_id().filter(|_| !item.is_local_echo()),
        "sender": item.sender(),
        "kind": kind,
        "body": content.as_message().map(|message| message.body()),
        "edited": content.as_message().is_some_and(|message| message.is_edited()),
        "repliesTo": message.in_reply_to.as_ref().map(|details| &details.event_id),
        "threadRoot": message.thread_root,
        "threadReplies": message.thread_summary.as_ref().map(|summary| summary.num_replies),
        "latestReply": message.thread_summary.as_ref().and_then(|summary| latest(&summary.latest_event)),
        "reactions": reactions,
        "readBy": item.read_receipts().keys().collect::<Vec<_>>(),
        "encrypted": item.encryption_info().is_some() || content.is_unable_to_decrypt(),
    }))
}

fn latest(details: &TimelineDetails<Box<matrix_sdk_ui::timeline::EmbeddedEvent>>) -> Option<String> {
    match details {
        TimelineDetails::Ready(event) => body(&event.content),
        _ => None,
    }
}

/// The text of a message, also of one that stands in a room list or under a thread's root.
pub fn body(content: &TimelineItemContent) -> Option<String> {
    content.as_message().map(|message| message.body().to_owned())
}
