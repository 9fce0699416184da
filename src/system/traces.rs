//! Spans of what takes its time, sent to a collector of OpenTelemetry (OTLP over HTTP, in JSON).
//!
//! They are told apart from the log by their target, `traces`. `OTEL_EXPORTER_OTLP_ENDPOINT` says where the collector
//! is; without it there are none. Of the other variables of OpenTelemetry its library takes those that it knows.

use std::pin::Pin;
use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use reqwest::{Client, redirect};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use super::{crypto, names};

/// The collector has this long for one answer; what it does not take is lost.
const LIMIT: Duration = Duration::from_secs(5);
/// How long a stop waits for the last spans.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);
const PLACES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

static RUNTIME: OnceLock<Handle> = OnceLock::new();
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Takes spans to the collector; none: there is no collector.
///
/// # Errors
/// What is wrong with the variables, in words.
pub(super) fn layer<S>() -> Result<Option<OpenTelemetryLayer<S, SdkTracer>>, String>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let place = PLACES.iter().find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let Some(place) = place else { return Ok(None) };
    crypto::choose();
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().timeout(LIMIT);
    let mut client = client.dns_resolver(names::TRACES.clone());
    if place.starts_with("http://") {
        // Nothing to verify, so the system's authorities need not be there.
        client = client.tls_certs_only([]);
    }
    let client = Sender(client.build().map_err(|error| error.to_string())?);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_http_client(client)
        .build()
        .map_err(|error| error.to_string())?;
    let name = Resource::builder().with_service_name("bc-secrets-sync").build();
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(name).build();
    let tracer = PROVIDER.get_or_init(|| provider).tracer("bc-secrets-sync");
    // Where in the source a span is from, and on which thread, is of no use to operators.
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    Ok(Some(layer.with_location(false).with_threads(false).with_target(false).with_tracked_inactivity(false)))
}

/// From now on spans are sent by this runtime. Those of before wait for it.
pub fn send_by(runtime: &Handle) {
    // There is one in a process.
    let _same = RUNTIME.set(runtime.clone());
}

/// Sends what was not sent yet.
pub async fn close() {
    if let Some(provider) = PROVIDER.get() {
        // Blocks until the runtime, which must not stand still meanwhile, has sent it.
        let closed = tokio::task::spawn_blocking(|| provider.shutdown_with_timeout(FLUSH_LIMIT)).await;
        if let Ok(Err(error)) = closed {
            tracing::warn!("the last spans may be lost: {error}");
        }
    }
}

/// Sends on our runtime what the library's own thread, which has none, has gathered.
#[derive(Debug)]
struct Sender(Client);

impl HttpClient for Sender {
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        let client = self.0.clone();
        Box::pin(async move {
            let runtime = RUNTIME.get().ok_or("the daemon has not started yet")?;
            let sent = runtime.spawn(async move {
                let answer = client.execute(request.try_into()?).await?;
                let status = answer.status();
                let mut response = Response::new(answer.bytes().await?);
                *response.status_mut() = status;
                Ok::<_, HttpError>(response)
            });
            sent.await?
        })
    }
}
