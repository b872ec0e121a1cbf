"""What is printed after the demo was filled: where to look, how to sign in, lines to paste. Pure."""

from app.demo.credentials import Credentials

GUIDE = """\
Cairn: {url}

  Look          {url}/datasets
  Sign in       {url}/login
{people}
                (kept in {file})
  Reference     {url}/api/docs

One file of one version:
  curl -b "tokenGitLab={token}" "{url}/api/v1/datasets/{dataset}/files/{path}?ref=v0.1.0" --output {name}

The dataset as a git repository, with DVC pointers for data:
  git clone {scheme}://alice:{token}@{host}/{guided}.git

The same with the command line, verified:
  export CAIRN_ENDPOINT={url} CAIRN_TOKEN={token}
  {cairn} ls {guided} --ref v0.2.0
  {cairn} download {guided} --ref v0.2.0 --output photographs-v0.2.0
"""

ROLES = {
    "alice": "owns both groups",
    "bob": "developer in both groups",
    "carol": "reporter in vision; does not see radiology",
    "ada": "administrator",
}
GUIDED_DATASET = "vision/photographs"
SHOWN_PATH = "animals/chelsea.png"


def guide_text(credentials: Credentials, *, url: str, dataset: int, file: str, cairn: str) -> str:
    """Return the guide.

    Args:
        credentials: the demo's accounts.
        url: address of the service, without a trailing slash.
        dataset: id of the dataset ``vision/photographs``.
        file: where the credentials are kept.
        cairn: how the command ``cairn`` is called here.
    """
    people = "\n".join(
        f"                {person.username:<6} {person.password}   {ROLES.get(person.username, '')}"
        for person in credentials.people
    )
    scheme, _, host = url.partition("://")
    return GUIDE.format(
        url=url,
        people=people,
        file=file,
        token=credentials.of("alice").token,
        dataset=dataset,
        path=SHOWN_PATH,
        name=SHOWN_PATH.rpartition("/")[2],
        scheme=scheme,
        host=host,
        cairn=cairn,
        guided=GUIDED_DATASET,
    )
