"""What a service tells Prometheus of itself."""

from typing import TYPE_CHECKING, Any

from attnpred.inference.serving.options import Served

if TYPE_CHECKING:
    from attnpred.inference.serving.models import Models

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
OF = ("model", "version")


class Metrics:
    def __init__(self) -> None:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

        self.registry = CollectorRegistry()
        at: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("attnpred_requests", "Requests by their path and status.", ["path", "status"], **at)
        self.seconds = Histogram("attnpred_request_seconds", "From request to answer.", ["path"], buckets=SECONDS, **at)
        self.sizes = Histogram("attnpred_batch_size", "Inputs answered together.", OF, buckets=SIZES, **at)
        self.batch_seconds = Histogram("attnpred_batch_seconds", "Of a batch.", OF, buckets=SECONDS, **at)
        self.waiting = Gauge("attnpred_waiting_inputs", "Inputs that wait for a model.", OF, **at)
        self.counts = Gauge("attnpred_inputs", "Inputs since the model was loaded, by what became of them.",
                            [*OF, "outcome"], **at)  # fmt: skip
        self.loaded = Gauge("attnpred_model_loaded_seconds", "When a model was loaded, since 1970.", OF, **at)
        self.drift = Gauge("attnpred_drift", "How far a measure is from the reference.", [*OF, "measure"], **at)
        self.alarm = Gauge("attnpred_drift_alarm", "1 where any measure of drift gives alarm.", OF, **at)

    def answered(self, path: str, status: int, seconds: float) -> None:
        self.requests.labels(path, str(status)).inc()
        self.seconds.labels(path).observe(seconds)

    def batch(self, served: Served, size: int, seconds: float) -> None:
        self.sizes.labels(served.name, served.version).observe(size)
        self.batch_seconds.labels(served.name, served.version).observe(seconds)

    def text(self, models: "Models") -> bytes:
        from prometheus_client import generate_latest

        for model, batcher in models.every():
            of = (model.served.name, model.served.version)
            self.waiting.labels(*of).set(batcher.waiting)
            self.loaded.labels(*of).set(model.loaded)
            measures = model.drift()
            for one in measures:
                self.drift.labels(*of, one.name).set(one.effect)
            if measures:
                self.alarm.labels(*of).set(float(any(one.alarm for one in measures)))
            for outcome in ("answered", "refused", "left", "failed"):
                self.counts.labels(*of, outcome).set(getattr(batcher.counts, outcome))
        return bytes(generate_latest(self.registry))
