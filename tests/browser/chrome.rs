//! Headless Chromium, driven by its DevTools protocol over one websocket.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::prelude::{Engine, BASE64_STANDARD};
use futures_util::{SinkExt, StreamExt};
use serde_json::{json, Value};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{connect_async, MaybeTlsStream, WebSocketStream};

use crate::process::{find_program, spawn};

const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

pub(crate) fn program() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find_map(find_program)
}

#[derive(Debug)]
pub(crate) struct Chrome {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    commands: u64,
    child: Child,
}

/// One page, in a tab of its own.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    target: String,
    session: String,
}

impl Chrome {
    /// Starts it with a profile in `folder`.
    ///
    /// # Errors
    ///
    /// If it does not start, or its websocket does not open in time; the text names the log.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Result<Self, String> {
        let (profile, log) = (folder.join("profile"), folder.join("chromium.log"));
        let mut command = Command::new(program);
        command
            .arg("--headless=new")
            // Its sandbox does not start for root; all pages are ours.
            .arg("--no-sandbox")
            .arg("--disable-gpu")
            .arg("--disable-dev-shm-usage")
            .arg("--disable-background-networking")
            .arg("--disable-component-update")
            .arg("--no-first-run")
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank");
        let said = |what: &dyn Display| format!("chromium: {what}; see {}", log.display());
        let mut child = spawn(command, &log).map_err(|error| said(&error))?;
        let url = websocket(&profile, &mut child)
            .await
            .map_err(|error| said(&error))?;
        let (socket, _) = connect_async(url).await.map_err(|error| said(&error))?;
        Ok(Self {
            socket,
            commands: 0,
            child,
        })
    }

    /// A new tab that goes to `url`.
    pub(crate) async fn open(&mut self, url: &str) -> Result<Page, String> {
        let target = json!({ "url": url, "newWindow": true, "width": 900, "height": 960 });
        let target = self.send(None, "Target.createTarget", target).await?;
        let target = target["targetId"].as_str().ok_or("no target")?.to_owned();
        let attach = json!({ "targetId": target, "flatten": true });
        let session = self.send(None, "Target.attachToTarget", attach).await?;
        let session = session["sessionId"]
            .as_str()
            .ok_or("no session")?
            .to_owned();
        Ok(Page { target, session })
    }

    pub(crate) async fn leave(&mut self, page: Page) -> Result<(), String> {
        let target = json!({ "targetId": page.target });
        self.send(None, "Target.closeTarget", target).await?;
        Ok(())
    }

    pub(crate) async fn evaluate(&mut self, page: &Page, script: &str) -> Result<Value, String> {
        let script = json!({ "expression": script, "returnByValue": true });
        let answer = self.send(Some(page), "Runtime.evaluate", script).await?;
        match answer.get("exceptionDetails") {
            Some(exception) => Err(format!("the page threw {exception}")),
            None => Ok(answer["result"]["value"].clone()),
        }
    }

    /// Evaluates `script` until `is` holds of its value.
    ///
    /// # Errors
    ///
    /// If it does not within `limit`; the text has the last value.
    pub(crate) async fn until(
        &mut self,
        page: &Page,
        script: &str,
        limit: Duration,
        is: impl Fn(&Value) -> bool,
    ) -> Result<Value, String> {
        let begin = Instant::now();
        loop {
            let value = self.evaluate(page, script).await?;
            if is(&value) {
                return Ok(value);
            }
            if begin.elapsed() > limit {
                return Err(format!("after {limit:?} the page still has {value}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// A picture of the page in a `light` or `dark` environment.
    pub(crate) async fn picture(
        &mut self,
        page: &Page,
        scheme: &str,
        file: &Path,
    ) -> Result<(), String> {
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.send(Some(page), "Emulation.setEmulatedMedia", media)
            .await?;
        let picture = self
            .send(Some(page), "Page.captureScreenshot", json!({}))
            .await?;
        let picture = picture["data"].as_str().ok_or("no picture")?;
        let picture = BASE64_STANDARD
            .decode(picture)
            .map_err(|error| error.to_string())?;
        std::fs::write(file, picture).map_err(|error| error.to_string())
    }

    /// Ends it, and all its processes.
    pub(crate) async fn close(mut self) -> Result<(), String> {
        self.send(None, "Browser.close", json!({})).await?;
        let ended = timeout(ANSWERS_WITHIN, self.child.wait()).await;
        ended.map_err(|_| "chromium does not end")?.ok();
        Ok(())
    }

    async fn send(
        &mut self,
        page: Option<&Page>,
        method: &str,
        params: Value,
    ) -> Result<Value, String> {
        self.commands += 1;
        let id = self.commands;
        let mut command = json!({ "id": id, "method": method, "params": params });
        if let Some(page) = page {
            command["sessionId"] = page.session.clone().into();
        }
        let answered = async {
            self.socket
                .send(Message::text(command.to_string()))
                .await
                .map_err(|error| error.to_string())?;
            loop {
                let message = self.socket.next().await.ok_or("it closed its websocket")?;
                let message = message.map_err(|error| error.to_string())?;
                let Ok(text) = message.to_text() else {
                    continue;
                };
                let answer: Value = serde_json::from_str(text).unwrap_or_default();
                // All else are events that nobody asked for.
                if answer["id"] == id {
                    return match answer.get("error") {
                        Some(error) => Err(error.to_string()),
                        None => Ok(answer["result"].clone()),
                    };
                }
            }
        };
        match timeout(ANSWERS_WITHIN, answered).await {
            Ok(answer) => answer.map_err(|error: String| format!("chromium, {method}: {error}")),
            Err(_) => Err(format!("chromium does not answer {method}")),
        }
    }
}

/// Chromium writes its port and its path into a file once it listens.
async fn websocket(profile: &Path, child: &mut Child) -> Result<String, String> {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(profile.join("DevToolsActivePort")).unwrap_or_default();
        if let [port, path] = text.lines().collect::<Vec<_>>()[..] {
            return Ok(format!("ws://127.0.0.1:{port}{path}"));
        }
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it left: {status}"));
        }
        if begin.elapsed() > ANSWERS_WITHIN {
            return Err("it opens no websocket".to_owned());
        }
        sleep(Duration::from_millis(20)).await;
    }
}
