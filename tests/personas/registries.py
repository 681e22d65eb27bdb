"""One persona for each registry that users are known to pull from, and some second forms of one."""

from __future__ import annotations

from dataclasses import replace

from tests.personas import quirks, stores
from tests.personas.images import OCTETS, docker_content
from tests.personas.persona import Account, Persona, Refusal, errors

BOTH_KEYS = ("token", "access_token")


def _bearer(realm: str, service: str) -> str:
    return f'Bearer realm="{realm}",service="{service}",scope="{{scope}}"'


HUB = Persona(
    name="docker-hub",
    reference="python:1",
    host="registry-1.docker.io",
    repository="library/python",
    challenge=_bearer("https://auth.docker.io/token", "registry.docker.io"),
    realm="https://auth.docker.io/token",
    service="registry.docker.io",
    keys=BOTH_KEYS,
    expires_in=300,
    post=None,
    account=Account(user="moby", password="dckr_pat_27b", identity="hub-identity-51c"),
    key="https://index.docker.io/v1/",
    wrong=Refusal(status=401, body='{"details":"incorrect username or password"}\n'),
    closed=None,
    store=stores.cdn("https://production.cloudflare.docker.com/registry-v2/docker/registry/v2/blobs/sha256/"),
    then=(quirks.counts_pulls,),
)

MCR = Persona(
    name="mcr",
    reference="mcr.microsoft.com/dotnet/runtime:1",
    host="mcr.microsoft.com",
    repository="dotnet/runtime",
    store=stores.azure("https://eastus.data.mcr.microsoft.com/01031d61e1024861afee5d512651eb9f-h36fskt2ei/docker/"),
    content=docker_content(),
    then=(quirks.schema1_without_accept,),
)

ALIYUN = Persona(
    name="aliyun-acr",
    reference="registry.cn-hangzhou.aliyuncs.com/acme/app:1",
    host="registry.cn-hangzhou.aliyuncs.com",
    repository="acme/app",
    challenge=_bearer("https://dockerauth.cn-hangzhou.aliyuncs.com/auth", "registry.aliyuncs.com:cn-hangzhou:26842"),
    realm="https://dockerauth.cn-hangzhou.aliyuncs.com/auth",
    service="registry.aliyuncs.com:cn-hangzhou:26842",
    keys=BOTH_KEYS,
    account=Account(user="acme@1234567890", password="aliyun-password-8d4"),
    store=stores.oss("aliregistry.oss-cn-hangzhou"),
    content=docker_content(OCTETS),
)
# A registry of one's own in another region, with the same token service.
ALIYUN_PERSONAL = replace(
    ALIYUN,
    name="aliyun-acr-personal",
    reference="crpi-0a1b2c3d.cn-shanghai.personal.cr.aliyuncs.com/acme/app:1",
    host="crpi-0a1b2c3d.cn-shanghai.personal.cr.aliyuncs.com",
    store=stores.oss("cri-0a1b2c3d-registry.oss-cn-shanghai"),
)

TENCENT = Persona(
    name="tencent-ccr",
    reference="ccr.ccs.tencentyun.com/acme/app:1",
    host="ccr.ccs.tencentyun.com",
    repository="acme/app",
    challenge=_bearer("https://ccr.ccs.tencentyun.com/service/token", "token-service"),
    realm="https://ccr.ccs.tencentyun.com/service/token",
    service="token-service",
    account=Account(user="100001234567", password="tencent-password-e07"),
    store=stores.cos("ccr-gz-1253687700.cos.ap-guangzhou.myqcloud.com"),
    content=docker_content(),
)
TENCENT_HONG_KONG = replace(
    TENCENT,
    name="tencent-ccr-hongkong",
    reference="hkccr.ccs.tencentyun.com/acme/app:1",
    host="hkccr.ccs.tencentyun.com",
    store=stores.cos("hkccr-1253687700.cos.ap-hongkong.myqcloud.com:80"),
)

GHCR = Persona(
    name="ghcr",
    reference="ghcr.io/acme/app:1",
    host="ghcr.io",
    repository="acme/app",
    challenge=_bearer("https://ghcr.io/token", "ghcr.io"),
    realm="https://ghcr.io/token",
    service="ghcr.io",
    account=Account(user="octocat", password="ghp_4f0c"),
    wrong=Refusal(status=403, body=errors("DENIED", "denied")),
    store=stores.azure("https://pkg-containers.githubusercontent.com/ghcr1/blobs/sha256/"),
    then=(quirks.wants_oci_index,),
)

ECR = Persona(
    name="ecr-private",
    reference="123456789012.dkr.ecr.eu-central-1.amazonaws.com/app:1",
    host="123456789012.dkr.ecr.eu-central-1.amazonaws.com",
    repository="app",
    challenge='Basic realm="https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/",service="ecr.amazonaws.com"',
    account=Account(user="AWS", password="eyJwYXlsb2FkIjoiZWNyIn0"),
    basic=True,
    anonymous=False,
    wrong=Refusal(status=403, body=errors("DENIED", "Your authorization token has expired. Reauthenticate.")),
    store=stores.s3("https://prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com/a1b2-123456789012/"),
    content=docker_content(),
    first=(quirks.no_digest_on_get,),
)

ECR_PUBLIC = Persona(
    name="ecr-public",
    reference="public.ecr.aws/docker/library/python:1",
    host="public.ecr.aws",
    repository="docker/library/python",
    challenge=_bearer("https://public.ecr.aws/token/", "public.ecr.aws"),
    realm="https://public.ecr.aws/token/",
    service="public.ecr.aws",
    scope="aws",
    account=Account(user="AWS", password="eyJwYXlsb2FkIjoicHVibGljIn0"),
    store=stores.cdn("https://d5l0dvt14r5h8.cloudfront.net/docker/"),
)

GAR = Persona(
    name="gar",
    reference="europe-docker.pkg.dev/acme/apps/app:1",
    host="europe-docker.pkg.dev",
    repository="acme/apps/app",
    challenge=_bearer("https://europe-docker.pkg.dev/v2/token", "europe-docker.pkg.dev"),
    realm="https://europe-docker.pkg.dev/v2/token",
    service="europe-docker.pkg.dev",
    account=Account(user="oauth2accesstoken", password="ya29.c3b"),
    closed=Refusal(status=403, body=errors("DENIED", "Unauthenticated request.")),
    store=stores.same_host("https://europe-docker.pkg.dev/artifacts-downloads/namespaces/acme/downloads/"),
)
# The older name, where the service is not quoted.
GCR = Persona(
    name="gcr",
    reference="gcr.io/acme/app:1",
    host="gcr.io",
    repository="acme/app",
    challenge='Bearer realm="https://gcr.io/v2/token",service=gcr.io,scope="{scope}"',
    realm="https://gcr.io/v2/token",
    service="gcr.io",
    expires_in=43200,
    post=Refusal(status=404, body="<html><title>Error 404 (Not Found)</title></html>\n"),
    account=Account(user="_json_key", password="gcr-password-6b1", identity="gcr-identity-c92"),
    store=stores.same_host("https://gcr.io/artifacts-downloads/namespaces/acme/downloads/"),
    content=docker_content(),
)

AZURE = Persona(
    name="azure-acr",
    reference="acme.azurecr.io/app:1",
    host="acme.azurecr.io",
    repository="app",
    challenge=_bearer("https://acme.azurecr.io/oauth2/token", "acme.azurecr.io"),
    realm="https://acme.azurecr.io/oauth2/token",
    service="acme.azurecr.io",
    keys=("access_token",),
    post=None,
    account=Account(user="acme", password="azure-password-d35", identity="azure-identity-0e8"),
    store=stores.azure("https://weumanaged1.blob.core.windows.net/0f1e2d3c-app/docker/registry/v2/blobs/sha256/"),
    content=docker_content(),
)

QUAY = Persona(
    name="quay",
    reference="quay.io/acme/app:1",
    host="quay.io",
    repository="acme/app",
    challenge='Bearer realm="https://quay.io/v2/auth",service="quay.io"',
    realm="https://quay.io/v2/auth",
    service="quay.io",
    account=Account(user="acme+robot", password="quay-password-94a"),
    wrong=Refusal(status=401, body='{"error":"Could not find robot with specified username"}\n'),
    closed=None,
    store=stores.cdn("https://cdn02.quay.io/quayio-production-s3/sha256/", status=302),
)

HARBOR = Persona(
    name="harbor",
    reference="harbor.acme.example/library/app:1",
    host="harbor.acme.example",
    repository="library/app",
    challenge=_bearer("https://harbor.acme.example/service/token", "harbor-registry"),
    lacking='Basic realm="harbor"',
    realm="https://harbor.acme.example/service/token",
    service="harbor-registry",
    keys=BOTH_KEYS,
    expires_in=1800,
    account=Account(user="robot$acme", password="harbor-password-2f6"),
    basic=True,
    closed=None,
    first=(quirks.sets_cookies,),
)

GITLAB = Persona(
    name="gitlab",
    reference="registry.gitlab.com/acme/app:1",
    host="registry.gitlab.com",
    repository="acme/app",
    challenge=_bearer("https://gitlab.com/jwt/auth", "container_registry"),
    realm="https://gitlab.com/jwt/auth",
    service="container_registry",
    account=Account(user="gitlab+deploy-token-1", password="gldt-b70"),
    wrong=Refusal(status=401, body=errors("UNAUTHORIZED", "HTTP Basic: Access denied")),
    closed=Refusal(status=403, body=errors("DENIED", "access forbidden")),
    store=stores.cdn("https://cdn.registry.gitlab-static.net/gitlab/docker/registry/v2/blobs/sha256/"),
    then=(quirks.strict_accept,),
)

DISTRIBUTION_2 = Persona(
    name="distribution-2.8",
    reference="registry.acme.example:5000/app:1",
    host="registry.acme.example:5000",
    repository="app",
    content=docker_content(),
    then=(quirks.accept_of_distribution_2,),
)
DISTRIBUTION_2_BASIC = replace(
    DISTRIBUTION_2,
    name="distribution-2.8-basic",
    challenge='Basic realm="Registry Realm"',
    account=Account(user="ci", password="htpasswd-password-7c1"),
    basic=True,
    anonymous=False,
)
DISTRIBUTION_2_BEARER = replace(
    DISTRIBUTION_2,
    name="distribution-2.8-bearer",
    challenge=_bearer("https://auth.acme.example/token", "The registry"),
    realm="https://auth.acme.example/token",
    service="The registry",
    keys=BOTH_KEYS,
    expires_in=300,
    post=None,
    account=Account(user="ci", password="bearer-password-a58", identity="bearer-identity-40d"),
    store=stores.cdn("https://mirror.acme.example/docker/registry/v2/blobs/sha256/"),
)
DISTRIBUTION_3 = replace(DISTRIBUTION_2, name="distribution-3", then=(quirks.accept_of_distribution_3,))
DISTRIBUTION_3_BEARER = replace(
    DISTRIBUTION_2_BEARER, name="distribution-3-bearer", then=(quirks.accept_of_distribution_3,)
)

ZOT = Persona(
    name="zot",
    reference="zot.acme.example:8443/acme/app:1",
    host="zot.acme.example:8443",
    repository="acme/app",
    challenge="basic realm=zot",
    account=Account(user="ci", password="zot-password-3e9"),
    basic=True,
    anonymous=False,
    first=(quirks.ping_is_open,),
)

PERSONAS = (
    HUB,
    MCR,
    ALIYUN,
    ALIYUN_PERSONAL,
    TENCENT,
    TENCENT_HONG_KONG,
    GHCR,
    ECR,
    ECR_PUBLIC,
    GAR,
    GCR,
    AZURE,
    QUAY,
    HARBOR,
    GITLAB,
    DISTRIBUTION_2,
    DISTRIBUTION_2_BASIC,
    DISTRIBUTION_2_BEARER,
    DISTRIBUTION_3,
    DISTRIBUTION_3_BEARER,
    ZOT,
)
