//! The service: an MCP server under a `DrainLayer`, and the sequence from the signal to the exit code.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::http::Method;
use axum::middleware::{from_fn, Next};
use axum::response::Response;
use axum::Router;
use rmcp::handler::server::router::tool::ToolRouter;
use rmcp::model::{ProtocolVersion, ServerCapabilities, ServerConfig, SubscriptionFilter};
use rmcp::service::SubscriptionContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::{tool, tool_handler, tool_router, ErrorData, ServerHandler};
use tokio::net::TcpListener;
use tower_drain::{
    BoxError, DrainHandle, DrainLayer, Goodbye, Shutdown, ShutdownReport, StreamPolicy, Timeouts,
};

pub(crate) const CALL_TAKES: Duration = Duration::from_secs(2);
/// Short, for nobody routes to this server; 5 s is the default.
const LAME_DUCK: Duration = Duration::from_millis(300);
const SETTLE: Duration = Duration::from_millis(50);
/// Longer than the call by far; 300 s is the default.
const DRAIN: Duration = Duration::from_secs(5);
/// By then all that a drain ends has ended.
const SOON: Duration = Duration::from_millis(300);

/// What ends at the drain, if `with_policy`, and what it waits for.
fn layer(with_policy: bool) -> DrainLayer {
    let layer = DrainLayer::new();
    if !with_policy {
        return layer;
    }
    layer
        .stream_policy(|head| match (head.method().as_str(), head.uri().path()) {
            // What the server tells a session unasked. It never ends by itself.
            ("GET", "/mcp") => StreamPolicy::End,
            // The answer to a call among them.
            _ => StreamPolicy::Wait,
        })
        .goodbye(Goodbye::event("goodbye").retry(Duration::from_secs(1)))
}

#[derive(Clone)]
struct Tools {
    router: ToolRouter<Self>,
    handle: DrainHandle,
}

#[tool_router(router = router)]
impl Tools {
    #[tool(description = "Writes a report, which takes two seconds")]
    async fn report(&self) -> String {
        println!("call begins");
        tokio::time::sleep(CALL_TAKES).await;
        "42 pages".to_owned()
    }
}

#[tool_handler(router = self.router)]
impl ServerHandler for Tools {
    fn supported_protocol_versions(&self) -> Cow<'static, [ProtocolVersion]> {
        Cow::Borrowed(&[ProtocolVersion::V_2026_07_28, ProtocolVersion::V_2025_11_25])
    }

    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder()
            .enable_tools()
            .enable_tool_list_changed()
            .build();
        ServerConfig::new(capabilities)
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.supported_by(&self.get_info().capabilities))
    }

    /// Since 2026-07-28 a subscription is a POST, for which the policy waits. It has an end of its own on the wire,
    /// which only its handler can write.
    async fn listen(&self, _: SubscriptionContext) -> Result<(), ErrorData> {
        println!("subscription begins");
        self.handle.draining().await;
        Ok(())
    }
}

async fn tell_streams(request: Request, next: Next) -> Response {
    let is_get = request.method() == Method::GET;
    let response = next.run(request).await;
    if is_get {
        println!("stream begins");
    }
    response
}

pub(crate) async fn serve(with_policy: bool) -> Result<ShutdownReport, BoxError> {
    let layer = layer(with_policy);
    let handle = layer.handle();
    let timeouts = Timeouts::default()
        .lame_duck(LAME_DUCK)
        .settle(SETTLE)
        .drain(DRAIN);
    let shutdown = Shutdown::new(handle.clone()).timeouts(timeouts);

    let tools = Tools {
        router: Tools::router(),
        handle: handle.clone(),
    };
    let mcp = StreamableHttpService::new(
        move || Ok(tools.clone()),
        Arc::new(LocalSessionManager::default()),
        Default::default(),
    );
    let app = Router::new()
        .nest_service("/mcp", mcp)
        .layer(from_fn(tell_streams))
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);

    tokio::spawn(async move {
        handle.draining().await;
        println!("draining");
        let _ = handle.wait_for_drain(SOON).await;
        let stragglers = handle.stragglers();
        println!("held by {}", stragglers.len());
        for straggler in stragglers {
            println!("{straggler}");
        }
    });
    shutdown.serve(listener, app).await
}
