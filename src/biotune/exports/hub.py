"""Uploading an exported folder to the Hugging Face hub."""

import re
from pathlib import Path

import huggingface_hub

from biotune.errors import InputError
from biotune.models.weights import answers


def require_repository(name: str) -> None:
    """Raise InputError unless a text can name a repository: OWNER/NAME."""
    if not re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", name, re.ASCII):
        raise InputError(f"'{name}' cannot name a repository of the hub; give --push OWNER/NAME.")


def push(folder: Path, repository: str) -> str:
    """Upload a folder into a repository of the hub, which is made, and private, where there is none.

    Args:
        folder: what is uploaded; it stays.
        repository: OWNER/NAME.

    Returns:
        The address of the repository.

    Raises:
        InputError: offline, not logged in, or refused.
    """
    endpoint = huggingface_hub.constants.ENDPOINT
    reason = ""
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        reason = "HF_HUB_OFFLINE is set"
    elif not answers(endpoint):
        reason = f"no answer from {endpoint}: are you offline?"
    if not reason:
        try:
            hub = huggingface_hub.HfApi(endpoint=endpoint, library_name="biotune")
            made = hub.create_repo(repository, private=True, exist_ok=True)
            hub.upload_folder(repo_id=made.repo_id, folder_path=folder, commit_message="Export of BioTune")
        except Exception as error:  # the client raises errors of many kinds
            reason = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"
        else:
            return str(made)
    raise InputError(
        f"'{folder}' is complete, but was not uploaded to {repository} ({reason}); log in with 'hf auth login' and "
        f"upload it with 'hf upload {repository} {folder}'."
    )
