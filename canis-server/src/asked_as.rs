//! What a request is called, as far as its task goes: the threads that work for it say so in the audit log.

use canis_core::RequestId;

tokio::task_local! {
    static REQUEST: Option<RequestId>;
}

/// `work` as part of this request; what it hands to other threads is, too.
pub(crate) async fn named_as<T>(request: Option<RequestId>, work: impl Future<Output = T>) -> T {
    REQUEST.scope(request, work).await
}

/// What the request of this task is called.
pub(crate) fn asked_as() -> Option<RequestId> {
    REQUEST.try_with(|request| *request).ok().flatten()
}
