#!/bin/sh
# Before `azd down`: asks where images would go with the resource group, then removes the event subscriptions. These
# stand on the topic, which may be somebody else's and stay; without the app events would pile up as dead letters.
# predown.ps1 is the same for Windows.
set -eu

command -v az >/dev/null || { echo "missing: az (https://aka.ms/install-az), signed in: az login" >&2; exit 1; }
: "${APP_NAME:?is not set: run azd provision first}"

if [ "$STORAGE_RESOURCE_GROUP" = "$APP_RESOURCE_GROUP" ]; then
    echo "azd down deletes the resource group $APP_RESOURCE_GROUP, and with it $STORAGE_ACCOUNT and ALL OF ITS IMAGES." >&2
    if [ "${CONFIRM_DOWN:-}" != "$STORAGE_ACCOUNT" ]; then
        [ -t 0 ] || { echo "Set CONFIRM_DOWN=$STORAGE_ACCOUNT if this is meant." >&2; exit 1; }
        printf 'The name of the account, if this is meant: ' >&2
        read -r answer
        [ "$answer" = "$STORAGE_ACCOUNT" ] || { echo "Nothing was removed." >&2; exit 1; }
    fi
else
    echo "On $STORAGE_ACCOUNT stay: tables $COUNTS_TABLE and ${COUNTS_TABLE}inbox, containers $QUARANTINE_CONTAINER and $DEAD_LETTER_CONTAINER, roles."
fi

for name in "$EVENT_SUBSCRIPTION" "$EVENT_SUBSCRIPTION-moves"; do
    target=$(az eventgrid system-topic event-subscription show --resource-group "$TOPIC_RESOURCE_GROUP" \
        --system-topic-name "$TOPIC_NAME" --name "$name" --output tsv \
        --query 'destination.resourceId || destination.endpointType' 2>/dev/null || true)
    case $target in
    *"/sites/$APP_NAME/functions/"*)
        echo "removing the event subscription $name"
        az eventgrid system-topic event-subscription delete --yes --resource-group "$TOPIC_RESOURCE_GROUP" \
            --system-topic-name "$TOPIC_NAME" --name "$name" --output none
        ;;
    esac
done
