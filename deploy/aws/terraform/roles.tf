# A role for each program, with its calls. docs/operating.md has the reasons, and a test compares the two.
locals {
  # Pods get their role by the service account that Kubernetes runs them as.
  service_accounts = {
    worker    = ["aforo:worker"]
    injector  = ["aforo:injector"]
    exporters = ["aforo:exporters"]
    keda      = [var.keda_service_account]
    machine   = []
  }
  has_kubernetes = var.oidc_provider_arn != ""
  oidc_issuer    = replace(var.oidc_provider_arn, "/^.*:oidc-provider//", "")
}

data "aws_iam_policy_document" "trust" {
  for_each = local.service_accounts

  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = var.trusted_services
    }
  }

  dynamic "statement" {
    for_each = local.has_kubernetes ? each.value : []

    content {
      actions = ["sts:AssumeRoleWithWebIdentity"]

      principals {
        type        = "Federated"
        identifiers = [var.oidc_provider_arn]
      }

      condition {
        test     = "StringEquals"
        variable = "${local.oidc_issuer}:sub"
        values   = ["system:serviceaccount:${statement.value}"]
      }

      condition {
        test     = "StringEquals"
        variable = "${local.oidc_issuer}:aud"
        values   = ["sts.amazonaws.com"]
      }
    }
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid = "Queue"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:DeleteMessage",
      "sqs:ChangeMessageVisibility",
    ]
    resources = [aws_sqs_queue.videos.arn]
  }

  statement {
    sid = "DeadLetters"
    actions = [
      "sqs:GetQueueUrl",
      "sqs:GetQueueAttributes",
      "sqs:ReceiveMessage",
      "sqs:ChangeMessageVisibility",
      "sqs:SendMessage",
    ]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Inputs"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.upload_prefix}*"]
  }

  statement {
    sid       = "Outputs"
    actions   = ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.processed_prefix}*"]
  }

  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
    resources = [aws_s3_bucket.videos.arn]
  }
}

data "aws_iam_policy_document" "injector" {
  statement {
    sid       = "Queue"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:SendMessage"]
    resources = [aws_sqs_queue.videos.arn]
  }

  # The injector notes at its start how many dead-lettered messages there are.
  statement {
    sid       = "DeadLetters"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }

  statement {
    sid       = "Inputs"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.upload_prefix}*"]
  }

  statement {
    sid       = "Bucket"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.videos.arn]
  }

  dynamic "statement" {
    for_each = var.allow_matrix ? ["Matrix"] : []

    content {
      sid       = statement.value
      actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
      resources = [aws_sqs_queue.videos.arn]
    }
  }
}

data "aws_iam_policy_document" "exporters" {
  statement {
    sid       = "Queues"
    actions   = ["sqs:GetQueueUrl", "sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.videos.arn, aws_sqs_queue.dead_letters.arn]
  }
}

# What `make doctor` does beyond these programs: it fetches the small output that it made, and deletes the small input.
data "aws_iam_policy_document" "doctor" {
  statement {
    sid       = "Inputs"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.upload_prefix}*"]
  }

  statement {
    sid       = "Outputs"
    actions   = ["s3:GetObject"]
    resources = ["${aws_s3_bucket.videos.arn}/${var.processed_prefix}*"]
  }
}

data "aws_iam_policy_document" "keda" {
  statement {
    sid       = "Queue"
    actions   = ["sqs:GetQueueAttributes"]
    resources = [aws_sqs_queue.videos.arn]
  }
}

resource "aws_iam_role" "worker" {
  name               = "${var.queue_name}-worker"
  assume_role_policy = data.aws_iam_policy_document.trust["worker"].json
}

resource "aws_iam_role" "injector" {
  name               = "${var.queue_name}-injector"
  assume_role_policy = data.aws_iam_policy_document.trust["injector"].json
}

resource "aws_iam_role" "exporters" {
  name               = "${var.queue_name}-exporters"
  assume_role_policy = data.aws_iam_policy_document.trust["exporters"].json
}

resource "aws_iam_role_policy" "worker" {
  name   = "aforo"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.worker.json
}

resource "aws_iam_role_policy" "injector" {
  name   = "aforo"
  role   = aws_iam_role.injector.id
  policy = data.aws_iam_policy_document.injector.json
}

resource "aws_iam_role_policy" "exporters" {
  name   = "aforo"
  role   = aws_iam_role.exporters.id
  policy = data.aws_iam_policy_document.exporters.json
}

# KEDA reads the queue with a role of its own.
resource "aws_iam_role" "keda" {
  count              = local.has_kubernetes ? 1 : 0
  name               = "${var.queue_name}-keda"
  assume_role_policy = data.aws_iam_policy_document.trust["keda"].json
}

resource "aws_iam_role_policy" "keda" {
  count  = local.has_kubernetes ? 1 : 0
  name   = "aforo"
  role   = aws_iam_role.keda[0].id
  policy = data.aws_iam_policy_document.keda.json
}

# Machines of EC2 get a role by an instance profile. One machine that runs everything needs the calls of the first three roles, and those of
# `make doctor`.
resource "aws_iam_instance_profile" "worker" {
  name = "${var.queue_name}-worker"
  role = aws_iam_role.worker.name
}

resource "aws_iam_role" "machine" {
  name               = "${var.queue_name}-machine"
  assume_role_policy = data.aws_iam_policy_document.trust["machine"].json
}

resource "aws_iam_role_policy" "machine" {
  for_each = {
    worker    = data.aws_iam_policy_document.worker.json
    injector  = data.aws_iam_policy_document.injector.json
    exporters = data.aws_iam_policy_document.exporters.json
    doctor    = data.aws_iam_policy_document.doctor.json
  }
  name   = each.key
  role   = aws_iam_role.machine.id
  policy = each.value
}

resource "aws_iam_instance_profile" "machine" {
  name = "${var.queue_name}-machine"
  role = aws_iam_role.machine.name
}
