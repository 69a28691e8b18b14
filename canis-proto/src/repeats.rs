//! Which operations may be asked twice, and which happen once by an idempotency key.

use crate::OperationId;

impl OperationId {
    /// Whether it changes keys or entries, so that doing it twice is not the same as once; a `batch` does if it is atomic.
    #[must_use]
    pub const fn changes(self) -> bool {
        use OperationId as O;
        matches!(
            self,
            O::CreateKey
                | O::UpdateKey
                | O::ActivateKey
                | O::DisableKey
                | O::EnableKey
                | O::DestroyKey
                | O::CancelDestroyKey
                | O::RotateKey
                | O::ImportKey
                | O::PutEntry
                | O::DeleteEntry
        )
    }

    /// Whether asking for it twice does no more than asking once: it reads, or uses a key and leaves nothing behind. What
    /// counts PINs, makes objects or removes something does not.
    #[must_use]
    pub const fn repeats(self) -> bool {
        use OperationId as O;
        matches!(
            self,
            O::Status
                | O::ListKeys
                | O::ShowKey
                | O::PublicKey
                | O::Encrypt
                | O::Decrypt
                | O::Sign
                | O::Verify
                | O::Rewrap
                | O::MakeDataKey
                | O::Mac
                | O::VerifyMac
                | O::Derive
                | O::Random
                | O::HashData
                | O::EncryptAesGcm
                | O::DecryptAesGcm
                | O::Encapsulate
                | O::Decapsulate
                | O::WrappingKey
                | O::ExportKey
                | O::GetEntry
                | O::ReadBackup
                | O::ListEntries
                | O::ListSlots
                | O::ListTenants
                | O::ShowTenant
                | O::ListCredentials
                | O::ShowCredential
                | O::GetPolicy
                | O::ListPolicies
                | O::ExplainPolicy
                | O::GetRole
                | O::ListRoles
                | O::ListApprovals
                | O::ShowApproval
                | O::VerifyAudit
                | O::SearchAudit
                | O::ReadMetrics
                | O::ListTokens
                | O::ShowLogin
                | O::EndSession
                | O::FindObjects
                | O::ReadObject
                | O::OpenKey
                | O::WrapKey
                | O::UseToEncrypt
                | O::UseToDecrypt
                | O::UseToSign
                | O::UseToVerify
                | O::UseToRecover
                | O::ExportObject
        )
    }

    /// Whether it only tells how server and store are doing: that is told even while nothing can be written down.
    #[must_use]
    pub const fn tells_state(self) -> bool {
        matches!(self, OperationId::Status | OperationId::ReadMetrics)
    }

    /// Whether it changes nothing but counts of uses and is short as a rule, so that it may be begun, given up because it
    /// would have to wait, and begun again elsewhere.
    #[must_use]
    pub const fn may_begin_twice(self) -> bool {
        use OperationId as O;
        matches!(
            self,
            O::Status
                | O::PublicKey
                | O::Encrypt
                | O::Decrypt
                | O::Sign
                | O::Verify
                | O::MakeDataKey
                | O::Mac
                | O::VerifyMac
                | O::Derive
                | O::Encapsulate
                | O::Decapsulate
                | O::Random
                | O::HashData
        )
    }
}
