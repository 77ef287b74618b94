//! Two clients of the SDK, one for each kind of the protocol.

use rmcp::model::{CallToolRequestParams, ClientConfig, ProtocolVersion, SubscriptionFilter};
use rmcp::service::{RunningService, Subscription, SubscriptionEnd};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use tokio::task::JoinHandle;
use tower_drain::BoxError;

type Client = RunningService<RoleClient, ClientConfig>;

async fn connect(url: &str, mode: ClientLifecycleMode) -> Result<Client, BoxError> {
    let transport = StreamableHttpClientTransport::from_uri(url);
    let client = ClientConfig::default().serve_with_lifecycle(transport, mode);
    Ok(client.await?)
}

/// A client with a session, as the protocol was until 2025-11-25.
pub(crate) struct Caller(Client);

impl Caller {
    pub(crate) async fn connect(url: &str) -> Result<Self, BoxError> {
        connect(url, ClientLifecycleMode::Initialize)
            .await
            .map(Self)
    }

    /// The text of the tool's answer.
    pub(crate) fn call(&self, tool: &'static str) -> JoinHandle<Result<String, BoxError>> {
        let peer = self.0.peer().clone();
        tokio::spawn(async move {
            let answer = peer.call_tool(CallToolRequestParams::new(tool)).await?;
            let text = answer.content.first().and_then(|content| content.as_text());
            Ok(text.ok_or("an answer without text")?.text.clone())
        })
    }
}

/// A client of 2026-07-28, without a session.
pub(crate) struct Subscriber {
    _client: Client,
    subscription: Subscription,
}

impl Subscriber {
    pub(crate) async fn connect(url: &str) -> Result<Self, BoxError> {
        let preferred_versions = vec![ProtocolVersion::V_2026_07_28];
        let client = connect(url, ClientLifecycleMode::Discover { preferred_versions }).await?;
        let filter = SubscriptionFilter::builder().tools_list_changed().build();
        let subscription = client.listen(filter).await?;
        Ok(Self {
            _client: client,
            subscription,
        })
    }

    /// How its subscription ended.
    pub(crate) async fn end(mut self) -> Result<String, BoxError> {
        while self.subscription.next().await?.is_some() {}
        match self.subscription.end() {
            Some(SubscriptionEnd::Graceful(_)) => {
                Ok("is told that its subscription is over".into())
            }
            end => Err(format!("the subscription ended with {end:?}").into()),
        }
    }
}
