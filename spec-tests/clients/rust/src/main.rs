//! One device of one user on matrix-rust-sdk, composed as Element X composes it: SyncService (a room list over simplified
//! sliding sync, and a second connection for encryption), timelines, the send queue, and everything kept in SQLite.
//!
//! It is driven by lines of JSON on its standard input. Each line is `{"id": n, "do": name, ...}`; each answer
//! `{"id": n, "result": …}` or `{"id": n, "error": text}`. Usage: rust-party URL STORE_DIRECTORY

// The SDK's futures are deeper than compilers follow on their own.
#![recursion_limit = "256"]

mod device;
mod line;

use std::{path::PathBuf, sync::Arc};

use device::{Device, Outcome};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, stdin},
    sync::OnceCell,
};

/// Where the device is kept, and the device once it has logged in or was restored.
struct Party {
    url: String,
    store: PathBuf,
    device: OnceCell<Device>,
}

impl Party {
    async fn run(&self, name: &str, given: &Value) -> Outcome<Value> {
        match name {
            "login" | "resume" => {
                let device = self
                    .device
                    .get_or_try_init(async || {
                        if name == "login" {
                            Device::login(&self.url, &self.store, given).await
                        } else {
                            Device::resume(&self.url, &self.store).await
                        }
                    })
                    .await?;
                Ok(device.who())
            }
            _ => self.device.get().ok_or("not logged in")?.run(name, given).await,
        }
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(store)) = (arguments.next(), arguments.next()) else {
        return Err("usage: rust-party URL STORE_DIRECTORY".into());
    };
    let party = Arc::new(Party {
        url,
        store: store.into(),
        device: OnceCell::new(),
    });
    let mut lines = BufReader::new(stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let party = party.clone();
        tokio::spawn(async move {
            let request: Value = serde_json::from_str(&line).expect("requests are JSON");
            let name = request["do"].as_str().unwrap_or_default();
            let answer = match party.run(name, &request).await {
                Ok(result) => json!({ "id": request["id"], "result": result }),
                Err(error) => json!({ "id": request["id"], "error": format!("{name}: {error}") }),
            };
            println!("{answer}");
        });
    }
    // What still runs is of no use without anybody to answer.
    std::process::exit(0)
}
