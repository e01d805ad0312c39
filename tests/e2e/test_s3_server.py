import botocore.exceptions
import pytest
import s3fs

from .s3 import S3

pytestmark = pytest.mark.e2e


def files(s3: S3, secret: str | None = None) -> s3fs.S3FileSystem:
    return s3fs.S3FileSystem(
        key=s3.key,
        secret=secret or s3.secret,
        endpoint_url=s3.endpoint,
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def test_a_bucket_gives_back_the_bytes_that_were_put(s3: S3) -> None:
    bucket = s3.make_bucket()
    store = files(s3)
    store.pipe(f"{bucket}/folder/loan", b"12,500 loans")
    assert store.cat(f"{bucket}/folder/loan") == b"12,500 loans"
    assert store.ls(f"{bucket}/folder") == [f"{bucket}/folder/loan"]


def test_a_wrong_secret_is_refused(s3: S3) -> None:
    bucket = s3.make_bucket()
    with pytest.raises((PermissionError, botocore.exceptions.ClientError)):
        files(s3, secret="wrong").pipe(f"{bucket}/file", b"x")


def test_data_survive_a_killed_server(s3: S3) -> None:
    bucket = s3.make_bucket()
    files(s3).pipe(f"{bucket}/file", b"kept")
    s3.kill()
    s3.start()
    assert files(s3).cat(f"{bucket}/file") == b"kept"
