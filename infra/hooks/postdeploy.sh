#!/bin/sh
# After the code is there: the event subscriptions, then the first reconciliation, then wait until counts are served.
# azd runs it with the outputs of main.bicep in the environment; by hand: eval "$(azd env get-values)" first, exported.
# Safe to run again. postdeploy.ps1 is the same for Windows.
set -eu
WAIT_SECONDS="${WAIT_SECONDS:-1800}"
here=$(dirname "$0")

# shellcheck source=infra/hooks/azure.sh
. "$here/azure.sh"
command -v curl >/dev/null || { echo "missing: curl" >&2; exit 1; }

echo "waiting for the functions of $APP_NAME"
tries=0
until said=$(az functionapp function show --subscription "$AZURE_SUBSCRIPTION_ID" \
    --resource-group "$APP_RESOURCE_GROUP" --name "$APP_NAME" --function-name on_blob_event --output none 2>&1); do
    tries=$((tries + 1))
    [ "$tries" -lt 30 ] || { echo "$said" >&2; echo "on_blob_event is not there after 5 minutes: did the app start? See its log" >&2; exit 1; }
    sleep 10
done

for name in "$EVENT_SUBSCRIPTION" "$EVENT_SUBSCRIPTION-moves"; do
    target=$(target_of "$name")
    case $target in
    "" | *"/sites/$APP_NAME/functions/"*) ;;
    *)
        echo "$name delivers to $target, not to $APP_NAME: it is somebody else's. Delete it, or take another environment" >&2
        exit 1
        ;;
    esac
done

echo "subscribing to the blob events of $STORAGE_ACCOUNT"
# Event Grid tries whether it may write dead letters, and a new role takes minutes to arrive.
tries=0
until az deployment group create --output none \
    --subscription "$AZURE_SUBSCRIPTION_ID" \
    --name "$EVENT_SUBSCRIPTION" \
    --resource-group "$TOPIC_RESOURCE_GROUP" \
    --parameters "$here/../events.bicepparam"; do
    tries=$((tries + 1))
    [ "$tries" -lt 20 ] || { echo "the event subscriptions could not be made in 10 minutes" >&2; exit 1; }
    echo "trying again in 30 s: the role on the dead letters may be on its way" >&2
    sleep 30
done

# The master key is asked for each time, kept nowhere, and given to curl on its standard input.
reconcile() {
    key=$(az functionapp keys list --subscription "$AZURE_SUBSCRIPTION_ID" --resource-group "$APP_RESOURCE_GROUP" \
        --name "$APP_NAME" --query masterKey --output tsv)
    printf 'x-functions-key: %s\n' "$key" |
        curl --silent --show-error --fail --output /dev/null --max-time 60 --header @- \
            --header 'Content-Type: application/json' --data '{}' "$APP_URL/admin/functions/reconcile" ||
        echo "the reconciliation could not be started; trying again (the timer starts it too)" >&2
}

echo "starting the first reconciliation"
began=$(date +%s)
asked=0
while :; do
    # Else: not ready, degraded, or an error as long as new roles are on their way.
    health=$(curl --silent --max-time 60 "$APP_URL/api/health" || true)
    case $health in *'"status": "ok"'*) break ;; esac
    now=$(date +%s)
    if [ $((now - began)) -ge "$WAIT_SECONDS" ]; then
        echo "not ready after $WAIT_SECONDS s (health: $health). Counting a large account takes longer and goes on by itself;" \
            "anything else is in the app's log" >&2
        exit 1
    fi
    if [ $((now - asked)) -ge 120 ]; then # asking twice is safe: one runs, the other steps back
        reconcile
        asked=$now
    fi
    sleep 5
done
echo "ready: $APP_URL/api/cases/storage/status"
