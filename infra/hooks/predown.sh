#!/bin/sh
# Before `azd down`: says what goes and what stays, asks, then removes the event subscriptions. These stand on the topic,
# which may be somebody else's and stay; without the app events would pile up as dead letters.
# predown.ps1 is the same for Windows.
set -eu
here=$(dirname "$0")
# shellcheck source=infra/hooks/azure.sh
. "$here/azure.sh"

lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }

if [ "$(lower "$STORAGE_RESOURCE_GROUP")" = "$(lower "$APP_RESOURCE_GROUP")" ]; then
    echo "azd down deletes the resource group $APP_RESOURCE_GROUP, and with it $STORAGE_ACCOUNT and ALL OF ITS IMAGES." >&2
else
    echo "azd down deletes the resource group $APP_RESOURCE_GROUP. It must not name $STORAGE_RESOURCE_GROUP, which holds" \
        "$STORAGE_ACCOUNT and all of its images: stop it if it does." >&2
    echo "In $STORAGE_RESOURCE_GROUP stay: tables $COUNTS_TABLE and ${COUNTS_TABLE}inbox, containers $QUARANTINE_CONTAINER" \
        "and $DEAD_LETTER_CONTAINER, role assignments. The system topic $TOPIC_NAME stays in $TOPIC_RESOURCE_GROUP, with" \
        "its diagnostic setting blob-status if it was made here." >&2
fi
if [ "${CONFIRM_DOWN:-}" != "$STORAGE_ACCOUNT" ]; then
    [ -t 0 ] || { echo "Set CONFIRM_DOWN=$STORAGE_ACCOUNT if this is meant." >&2; exit 1; }
    printf 'The name of the storage account, if this is meant: ' >&2
    read -r answer
    [ "$answer" = "$STORAGE_ACCOUNT" ] || { echo "Nothing was removed." >&2; exit 1; }
fi

for name in "$EVENT_SUBSCRIPTION" "$EVENT_SUBSCRIPTION-moves"; do
    target=$(target_of "$name")
    case $target in
    *"/sites/$APP_NAME/functions/"*)
        echo "removing the event subscription $name"
        az eventgrid system-topic event-subscription delete --yes --subscription "$AZURE_SUBSCRIPTION_ID" \
            --resource-group "$TOPIC_RESOURCE_GROUP" --system-topic-name "$TOPIC_NAME" --name "$name" --output none
        ;;
    esac
done
